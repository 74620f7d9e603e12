"""Limits on the cost of a model."""

from dataclasses import dataclass, field, replace
from typing import Any

from kranking.budget._cost import Cost
from kranking.budget._limit import Limit, as_written, value_in

_COUNTED = ("memory", "latency", "parameters", "flops")
NAMES = ("memory", "latency", "parameters", "flops", "hyperparameters", "spread")


@dataclass(frozen=True)
class Violation:
    """A limit that a cost exceeds.

    Args:
        limit: Name of the limit.
        most: The largest allowed value.
        received: The value of the cost.
        fidelity: Fidelity of that value, as in `Figure`.

    >>> print(Violation("memory", 2.0 * 2**30, 3.0 * 2**30, "analytic"))
    memory: 3.0 GiB (analytic), 50.0 % over the limit of 2.0 GiB
    """

    limit: str
    most: float
    received: float
    fidelity: str = ""

    @property
    def excess(self) -> float:
        """The excess as a fraction of the limit."""
        return self.received / self.most - 1 if self.most else float("inf")

    def __str__(self) -> str:
        received, most = (as_written(v, self.limit) for v in (self.received, self.most))
        how = f" ({self.fidelity})" if self.fidelity else ""
        over = f"{100 * self.excess:.1f} % over" if self.most > 0 else "over"
        return f"{self.limit}: {received}{how}, {over} the limit of {most}"


@dataclass(frozen=True)
class Budget:
    """Limits on the cost of a model, absolute or relative to a baseline; `None` means no limit.

    Args:
        memory: Peak memory of a training step: `"12 GiB"`, `"60 % of A100-80GB"`,
            `"+5 points of A100-80GB"`, or `"+5 %"` relative to the baseline.
        latency: `"8 ms p99"`, or `"+0 %"` relative to the baseline. The default percentile is p50.
        parameters: A count, or relative, such as `"+0 %"`.
        flops: FLOPs of matrix products per row; a count or relative.
        hyperparameters: Number of settings to tune; a count or relative.
        spread: Standard deviation of the main metric over seeds; a value or relative.

    Raises:
        ValueError: If a memory or latency limit has no unit, or the device is unknown.

    >>> age = kr.features.Numeric("age", mean=40.0, std=10.0)
    >>> model = kr.RankingModel([age], [kr.layers.MLP([8])], [kr.Task("save")])
    >>> cost = kr.budget.analytic_cost(model)
    >>> for violation in Budget(memory="1 GiB", parameters=20).check(cost):
    ...     print(violation)
    parameters: 25 (analytic), 25.0 % over the limit of 20
    """

    memory: Any = None
    latency: Any = None
    parameters: Any = None
    flops: Any = None
    hyperparameters: Any = None
    spread: Any = None
    limits: tuple[Limit, ...] = field(init=False, repr=False)

    def __post_init__(self):
        given = {name: getattr(self, name) for name in NAMES if getattr(self, name) is not None}
        limits = tuple(Limit.parse(name, value) for name, value in given.items())
        object.__setattr__(self, "limits", limits)

    @property
    def needs_baseline(self) -> bool:
        """Whether any limit is relative."""
        return any(limit.relative for limit in self.limits)

    def check(self, cost: Cost, baseline: Cost | None = None) -> list[Violation]:
        """Returns the limits that a cost exceeds, the worst first; empty if it is within the budget.

        Args:
            cost: The cost of the model. It must contain all limited figures.
            baseline: The cost of the baseline, for relative limits.

        Raises:
            ValueError: If a figure is missing, if a limit is relative and there is no baseline, if a
                predicted latency would be compared to a measured one, or if an analytic figure is within
                its limit but does not include all layers.
        """
        found = []
        for limit in self.limits:
            received, most = value_in(cost, limit.figure), limit.most(baseline)
            if limit.relative and limit.name == "latency":
                _check_alike(limit.figure, cost, baseline)
            if not received <= most:  # NaN exceeds every limit
                how = (
                    "analytic" if _is_analytic(cost, limit.figure) else cost[limit.figure].fidelity
                )
                found.append(Violation(limit.figure, most, received, how))
            elif limit.name in _COUNTED and cost.unknown and _is_analytic(cost, limit.figure):
                raise ValueError(
                    f"`{limit.name}` is within its limit, but does not include {list(cost.unknown)}, whose "
                    "cost is unknown. Add a `work` method to such layers, or replace the figure by a "
                    "measured one."
                )
        return sorted(found, key=lambda violation: -violation.excess)

    def to_json(self) -> dict[str, Any]:
        """Returns the limits as they were specified."""
        return {limit.name: getattr(self, limit.name) for limit in self.limits}


def _check_alike(figure: str, cost: Cost, baseline: Any) -> None:
    """Raises `ValueError` for a prediction next to a measurement or a prediction for another batch."""
    own, other = cost[figure], baseline[figure]
    if own.fidelity == other.fidelity != "analytic" or own == replace(other, value=own.value):
        return
    raise ValueError(
        f"`{figure}` of model and baseline must have the same fidelity and conditions. Received: "
        f"{own.fidelity} ({own.conditions}) and {other.fidelity} ({other.conditions})"
    )


def _is_analytic(cost: Cost, figure: str) -> bool:
    return figure not in cost or cost[figure].fidelity == "analytic"  # parameters are a sum
