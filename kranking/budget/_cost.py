"""What a model costs, each figure with how it was found out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kranking._core import check_choice

FIDELITIES = ("analytic", "compiled", "measured")


@dataclass(frozen=True)
class Figure:
    """A number, its unit, and how it was found out.

    Args:
        value: The number.
        unit: Its unit, such as `"bytes"` or `"ms"`.
        fidelity: `"analytic"`: from formulas, nothing ran. `"compiled"`: from XLA's analysis of the real
            program. `"measured"`: from a run.
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
        """Gives the figure as plain values."""
        return {
            "value": self.value,
            "unit": self.unit,
            "fidelity": self.fidelity,
            "conditions": self.conditions,
        }


@dataclass(frozen=True)
class Cost:
    """What a model costs at one batch size, optimizer and dtype.

    Args:
        batch_size: Rows of a training step.
        optimizer: Name of the optimizer, whose slots take memory.
        dtype: Name of the dtype policy.
        figures: By name: `table_parameters`, `dense_parameters`, `flops` (of matrix products, per row),
            `artefact` (bytes of the weights, or of files), `memory` (peak of a training step in bytes),
            `latency_p50`, `latency_p90`, `latency_p99` (ms) and `hyperparameters`. What was not asked
            for is not there.
        memory_parts: Where the memory goes, bytes by name, of the analytic estimate.
        unknown: Names of layer classes that were not counted.

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
            raise KeyError(f"This cost holds {sorted(self.figures)}. Received: {name!r}")
        return self.figures[name]

    def __contains__(self, name: str) -> bool:
        return name in self.figures

    @property
    def parameters(self) -> float:
        """All trainable parameters."""
        return self["table_parameters"].value + self["dense_parameters"].value

    def with_figures(self, **figures: Figure) -> "Cost":
        """Gives the cost with figures added or replaced, such as measured ones."""
        return Cost(
            self.batch_size,
            self.optimizer,
            self.dtype,
            {**self.figures, **figures},
            self.memory_parts,
            self.unknown,
        )

    def to_json(self) -> dict[str, Any]:
        """Gives the cost as plain values."""
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
        """Reads what `to_json` gave."""
        figures = {name: Figure(**figure) for name, figure in values["figures"].items()}
        return cls(**{**values, "figures": figures, "unknown": tuple(values["unknown"])})


def as_text(value: float, unit: str) -> str:
    """Gives a number as people write it: bytes in MiB, counts with their thousands."""
    if unit == "bytes":
        for name, size in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
            if abs(value) >= size:
                return f"{value / size:,.1f} {name}"
        return f"{value:,.0f} bytes"
    if unit == "ms":
        return f"{value:.3g} ms"
    return f"{value:,.0f}" + ("" if unit in ("parameters", "settings") else f" {unit}")
