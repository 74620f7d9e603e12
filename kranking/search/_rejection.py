"""Configurations that are over budget, and the error of a space that has no other."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from kranking.budget import Violation


@dataclass(frozen=True)
class Rejection:
    """A configuration that was drawn and refused, before a trial was made of it.

    Args:
        values: The configuration.
        limit: The limit that it is furthest over; `"build"` if there is no such model.
        most: What the limit allows.
        received: What the configuration has.
        fidelity: How that was found out.
        reason: All of it in words.

    >>> over = Violation("memory", 1.0 * 2**30, 1.5 * 2**30, "analytic")
    >>> Rejection.of({"mlp/units": "64"}, [over]).excess
    0.5
    """

    values: Mapping[str, Any]
    limit: str
    most: float
    received: float
    fidelity: str
    reason: str

    @classmethod
    def of(cls, values: Mapping[str, Any], violations: list[Violation]) -> "Rejection":
        """Makes one of the limits that were broken, the worst first."""
        worst, reason = violations[0], "; ".join(map(str, violations))
        return cls(values, worst.limit, worst.most, worst.received, worst.fidelity, reason)

    @classmethod
    def unbuildable(cls, values: Mapping[str, Any], error: ValueError) -> "Rejection":
        """Makes one of a configuration that its architecture refuses."""
        return cls(values, "build", 0.0, math.inf, "", str(error))

    @property
    def excess(self) -> float:
        """How far over, as a share of the limit."""
        return self.received / self.most - 1 if self.most else math.inf

    def to_json(self) -> dict[str, Any]:
        """Gives the rejection as plain values."""
        return asdict(self) | {"values": dict(self.values)}


class NoFeasiblePoint(ValueError):
    """A search space in which nothing was found that is within the budget.

    Args:
        nearest: The configuration that comes nearest.
        looked_at: Number of configurations that were costed.
    """

    def __init__(self, nearest: Rejection, looked_at: int):
        self.nearest, self.looked_at = nearest, looked_at
        super().__init__(
            f"The space should hold a configuration within the budget; {looked_at:,} were costed and none "
            f"is. The nearest is over {nearest.limit!r}: {nearest.reason}; its values are "
            f"{dict(nearest.values)}. Raise that limit, or let the space hold smaller models"
        )
