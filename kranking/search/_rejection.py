"""Rejected configurations, and the error for a search space without feasible ones."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from kranking.budget import Violation


@dataclass(frozen=True)
class Rejection:
    """A configuration that was drawn and rejected before it became a trial.

    Args:
        values: Values of the hyperparameters.
        limit: Name of the limit with the largest excess; `"build"` if the model cannot be built.
        most: The largest allowed value.
        received: The value of the configuration.
        fidelity: Fidelity of that value, as in `Figure`.
        reason: Description of all violations.

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
        """Creates a rejection from violated limits, the worst first."""
        worst, reason = violations[0], "; ".join(map(str, violations))
        return cls(values, worst.limit, worst.most, worst.received, worst.fidelity, reason)

    @classmethod
    def unbuildable(cls, values: Mapping[str, Any], error: ValueError) -> "Rejection":
        """Creates a rejection from the error of a configuration that cannot be built."""
        return cls(values, "build", 0.0, math.inf, "", str(error))

    @property
    def excess(self) -> float:
        """The excess as a fraction of the limit."""
        return self.received / self.most - 1 if self.most else math.inf

    def to_json(self) -> dict[str, Any]:
        """Returns the rejection as a JSON-serializable dict."""
        return asdict(self) | {"values": dict(self.values)}


class NoFeasiblePoint(ValueError):
    """Raised when no configuration within the budget is found in a search space.

    Args:
        nearest: The rejected configuration with the smallest excess.
        looked_at: Number of evaluated configurations.
    """

    def __init__(self, nearest: Rejection, looked_at: int):
        self.nearest, self.looked_at = nearest, looked_at
        super().__init__(
            f"The search space must contain a configuration within the budget, but none of {looked_at:,} "
            f"evaluated ones is. The nearest exceeds {nearest.limit!r}: {nearest.reason}. "
            f"Its values: {dict(nearest.values)}. Raise this limit, or add smaller models to the space."
        )
