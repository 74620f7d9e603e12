"""Limits on what a model may cost."""

from dataclasses import dataclass, field, replace
from typing import Any

from kranking.budget._cost import Cost
from kranking.budget._limit import Limit, as_written, value_in

_COUNTED = ("memory", "latency", "parameters", "flops")
NAMES = ("memory", "latency", "parameters", "flops", "hyperparameters", "spread")


@dataclass(frozen=True)
class Violation:
    """A limit that a cost is over.

    Args:
        limit: Name of the limit.
        most: What it allows.
        received: What the cost has.

    >>> print(Violation("memory", 2.0 * 2**30, 3.0 * 2**30, "analytic"))
    memory: 3.0 GiB (analytic), 50.0 % over the limit of 2.0 GiB
    """

    limit: str
    most: float
    received: float
    fidelity: str = ""

    @property
    def excess(self) -> float:
        """How far over, as a share of the limit."""
        return self.received / self.most - 1 if self.most else float("inf")

    def __str__(self) -> str:
        received, most = (as_written(v, self.limit) for v in (self.received, self.most))
        how = f" ({self.fidelity})" if self.fidelity else ""
        over = f"{100 * self.excess:.1f} % over" if self.most > 0 else "over"
        return f"{self.limit}: {received}{how}, {over} the limit of {most}"


@dataclass(frozen=True)
class Budget:
    """The most that a model may cost: absolute, or relative to a baseline. What is not given is free.

    Args:
        memory: Peak of a training step: `"12 GiB"`, `"60 % of A100-80GB"`, `"+5 points of A100-80GB"` or
            `"+5 %"` over the baseline.
        latency: `"8 ms p99"` or `"+0 %"` over the baseline; the percentile is p50 if none is said.
        parameters: A count, or relative as `"+0 %"`.
        flops: Of matrix products, per row; likewise.
        hyperparameters: Settings to tune; likewise.
        spread: Standard deviation of the main metric over seeds; likewise.

    Raises: `ValueError` for a memory or latency without a unit, or an unknown device.

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
        """Whether a limit is relative."""
        return any(limit.relative for limit in self.limits)

    def check(self, cost: Cost, baseline: Cost | None = None) -> list[Violation]:
        """Gives the limits that a cost is over, the worst first; none of them means: within budget.

        Args:
            cost: The cost of the model; it must hold the figures that are limited.
            baseline: The baseline's cost, for relative limits.

        Raises: `ValueError` for a figure that is missing, for a relative limit without a baseline, for a
        predicted latency beside a measured one, and for an analytic figure within its limit that leaves
        something out.
        """
        found = []
        for limit in self.limits:
            received, most = value_in(cost, limit.figure), limit.most(baseline)
            if limit.relative and limit.name == "latency":
                _check_alike(limit.figure, cost, baseline)
            if not received <= most:  # a figure that is NaN is over every limit
                how = (
                    "analytic" if _is_analytic(cost, limit.figure) else cost[limit.figure].fidelity
                )
                found.append(Violation(limit.figure, most, received, how))
            elif limit.name in _COUNTED and cost.unknown and _is_analytic(cost, limit.figure):
                raise ValueError(
                    f"`{limit.name}` is within its limit only without what could not be counted: "
                    f"{list(cost.unknown)}. Give such a layer a `work` method, or measure and replace the "
                    "figure"
                )
        return sorted(found, key=lambda violation: -violation.excess)

    def to_json(self) -> dict[str, Any]:
        """Gives the limits as they were written."""
        return {limit.name: getattr(self, limit.name) for limit in self.limits}


def _check_alike(figure: str, cost: Cost, baseline: Any) -> None:
    """Refuses to compare a prediction with a measurement, or with a prediction for another batch."""
    own, other = cost[figure], baseline[figure]
    if own.fidelity == other.fidelity != "analytic" or own == replace(other, value=own.value):
        return
    raise ValueError(
        f"`{figure}` of model and baseline should be found out in the same way to be compared. Received: "
        f"{own.fidelity} ({own.conditions}) and {other.fidelity} ({other.conditions})"
    )


def _is_analytic(cost: Cost, figure: str) -> bool:
    return figure not in cost or cost[figure].fidelity == "analytic"  # parameters are a sum
