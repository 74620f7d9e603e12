"""Cost of a model, as figures with units and fidelities."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kranking._core import check_choice

FIDELITIES = ("analytic", "compiled", "measured")


@dataclass(frozen=True)
class Figure:
    """A number with its unit and fidelity.

    Args:
        value: The number.
        unit: Its unit, such as `"bytes"` or `"ms"`.
        fidelity: `"analytic"` for a value from formulas, `"compiled"` for XLA's analysis of the compiled
            program, `"measured"` for a run.
        conditions: What else the number depends on: threads, batch, rounds, machine.

    >>> print(Figure(3 * 2**20, "bytes", "analytic"))
    3.0 MiB
    """

    value: float
    unit: str
    fidelity: str
    conditions: str = ""

    def __post_init__(self):
        check_choice("fidelity", self.fidelity, FIDELITIES)

    def __str__(self) -> str:
        return as_text(self.value, self.unit)

    def to_json(self) -> dict[str, Any]:
        """Returns the figure as a JSON-serializable dict."""
        return {
            "value": self.value,
            "unit": self.unit,
            "fidelity": self.fidelity,
            "conditions": self.conditions,
        }


@dataclass(frozen=True)
class Cost:
    """Cost of a model for a batch size, an optimizer and a dtype policy.

    Args:
        batch_size: Number of rows in a training step.
        optimizer: Name of the optimizer, whose slots take memory.
        dtype: Name of the dtype policy.
        figures: Figures by name: `table_parameters`, `dense_parameters`, `flops` (of matrix products, per
            row), `artefact` (bytes of the weights or files), `memory` (peak bytes of a training step),
            `latency_p50`, `latency_p90`, `latency_p99` (ms) and `hyperparameters`. Only requested figures
            are present.
        memory_parts: Parts of the analytic memory estimate, bytes by name.
        unknown: Names of layer classes whose cost is unknown and not included.

    >>> figures = {"flops": Figure(2e6, "flops", "analytic")}
    >>> Cost(1024, "adam", "float32", figures)["flops"].value
    2000000.0
    """

    batch_size: int
    optimizer: str
    dtype: str
    figures: Mapping[str, Figure]
    memory_parts: Mapping[str, float] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Figure:
        if name not in self.figures:
            raise KeyError(f"The figure must be one of {sorted(self.figures)}. Received: {name!r}")
        return self.figures[name]

    def __contains__(self, name: str) -> bool:
        return name in self.figures

    @property
    def parameters(self) -> float:
        """Number of trainable parameters."""
        return self["table_parameters"].value + self["dense_parameters"].value

    def with_figures(self, **figures: Figure) -> "Cost":
        """Returns a copy with figures added or replaced, such as measured ones."""
        return Cost(
            self.batch_size,
            self.optimizer,
            self.dtype,
            {**self.figures, **figures},
            self.memory_parts,
            self.unknown,
        )

    def to_json(self) -> dict[str, Any]:
        """Returns the cost as a JSON-serializable dict."""
        return {
            "batch_size": self.batch_size,
            "optimizer": self.optimizer,
            "dtype": self.dtype,
            "figures": {name: figure.to_json() for name, figure in self.figures.items()},
            "memory_parts": dict(self.memory_parts),
            "unknown": list(self.unknown),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Cost":
        """Creates a cost from the output of `to_json`."""
        figures = {name: Figure(**figure) for name, figure in values["figures"].items()}
        return cls(**{**values, "figures": figures, "unknown": tuple(values["unknown"])})


def as_text(value: float, unit: str) -> str:
    """Formats a number with its unit: bytes in KiB, MiB or GiB, counts with thousands separators."""
    if unit == "bytes":
        for name, size in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
            if abs(value) >= size:
                return f"{value / size:,.1f} {name}"
        return f"{value:,.0f} bytes"
    if unit == "ms":
        return f"{value:.3g} ms"
    return f"{value:,.0f}" + ("" if unit in ("parameters", "settings") else f" {unit}")
