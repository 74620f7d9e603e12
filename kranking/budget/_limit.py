"""A limit of a budget, parsed from text or a number."""

import re
from dataclasses import dataclass
from typing import Any

from kranking.budget._cost import Cost, as_text
from kranking.budget._devices import device_memory

_SIZES = {"bytes": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "KB": 1e3, "MB": 1e6, "GB": 1e9}
_TIMES = {"ms": 1.0, "us": 1e-3, "s": 1e3}
_TEXT = re.compile(
    r"(?P<sign>[+-]?)\s*(?P<value>\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d*\.?\d+)\s*(?P<unit>%|points|[A-Za-z]+)?"
    r"(?:\s+of\s+(?P<device>\S+))?(?:\s+(?P<percentile>p50|p90|p99))?"
)
_FORMS = {
    "memory": "'12 GiB', '60 % of A100-80GB', '+5 points of A100-80GB', or '+5 %' over the baseline",
    "latency": "'8 ms p99', or '+0 %' over the baseline",
    "spread": "0.002, or '+0 %' over the baseline",
}
_COUNTS = "2_000_000, or '+0 %' over the baseline"


@dataclass(frozen=True)
class Limit:
    """Upper limit of a figure: a value, or the figure of the baseline plus an increment.

    Args:
        name: `memory`, `latency`, `parameters`, `flops`, `hyperparameters` or `spread`.
        value: The limit in the unit of the figure. For a relative limit, the increment: a fraction of the
            baseline's figure or, with `points`, a value in that unit.
        relative: Whether the limit is relative to the baseline's figure.
        points: Whether the increment is a value instead of a fraction.
        percentile: Percentile of a latency.
        text: The limit as it was specified.

    >>> Limit.parse("memory", "60 % of A100-40GB").value == 0.6 * 40 * 2**30
    True
    """

    name: str
    value: float
    relative: bool
    points: bool
    percentile: str
    text: str

    @classmethod
    def parse(cls, name: str, given: Any) -> "Limit":
        """Parses a limit; raises `ValueError` with the supported forms."""
        number = isinstance(given, int | float) and not isinstance(given, bool)
        if number and name not in ("memory", "latency"):
            if not 0 < given < float("inf"):
                raise _refusal(name, given, "be a positive number")
            return cls(name, float(given), False, False, "", f"{given:,}")
        written = str(given).strip()
        match = _TEXT.fullmatch(written) if isinstance(given, str) else None
        if match is None:
            raise _refusal(name, given, "have a unit" if number else "have one of these forms")
        unit, device = match["unit"], match["device"]
        value = float(match["value"].replace(",", ""))
        signed = -value if match["sign"] == "-" else value
        percentile = match["percentile"] or "p50"
        if match["percentile"] and name != "latency":
            raise _refusal(name, given, "have no percentile")
        if unit in ("%", "points") and device:
            if name != "memory":
                raise _refusal(name, given, "have no device")
            share = device_memory(device) / 100
            if unit == "points":
                return cls(name, signed * share, True, True, percentile, written)
            if match["sign"] or not 0 < value <= 100:
                raise _refusal(name, given, "be a share between 0 and 100 %")
            return cls(name, value * share, False, False, percentile, written)
        if unit == "%" and match["sign"]:
            return cls(name, signed / 100, True, False, percentile, written)
        units = {"memory": _SIZES, "latency": _TIMES}.get(name, {})
        if unit not in units or device or match["sign"] or not value:
            raise _refusal(
                name, given, "have a unit" if unit is None else "have one of these forms"
            )
        return cls(name, value * units[unit], False, False, percentile, written)

    @property
    def figure(self) -> str:
        """Name of the limited figure in a `Cost`."""
        return f"latency_{self.percentile}" if self.name == "latency" else self.name

    def most(self, baseline: Cost | None) -> float:
        """Returns the largest allowed value; raises `ValueError` if a needed baseline is missing."""
        if not self.relative:
            return self.value
        if baseline is None:
            raise ValueError(
                f"`{self.name}={self.text!r}` is relative and needs a baseline. Received: baseline=None"
            )
        start = value_in(baseline, self.figure)
        return start + self.value if self.points else start * (1 + self.value)


def value_in(cost: Cost, figure: str) -> float:
    """Returns the value of a figure; raises `ValueError` if the cost does not contain it."""
    if figure == "parameters":
        return cost.parameters
    if figure not in cost:
        raise ValueError(
            f"The cost must contain the limited figure {figure!r}. Received: {sorted(cost.figures)}. "
            "Measure it and add it with `with_figures`, or remove the limit."
        )
    return cost[figure].value


def unit_of(figure: str) -> str:
    """Returns the unit in which a figure is printed."""
    if figure.startswith("latency"):
        return "ms"
    return {"memory": "bytes", "flops": "flops"}.get(figure, "parameters")


def _refusal(name: str, given: Any, lacks: str) -> ValueError:
    forms = _FORMS.get(name, _COUNTS)
    return ValueError(f"`{name}` must {lacks}: {forms}. Received: {name}={given!r}")


def as_written(value: float, figure: str) -> str:
    """Formats a value of a figure."""
    return f"{value:.4g}" if figure == "spread" else as_text(value, unit_of(figure))
