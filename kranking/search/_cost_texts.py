"""The figures of a trial's cost that its report shows."""

from kranking.budget import Budget, Cost

_FIGURES = ("memory", "latency_p50", "latency_p99", "parameters", "flops")


def cost_texts(budget: Budget, cost: Cost | None) -> dict[str, str]:
    """Returns the figures that a budget limits, and memory and median latency, as text."""
    if cost is None:
        return {}
    shown = {limit.figure for limit in budget.limits} | {"memory", "latency_p50"}
    names = [n for n in _FIGURES if n in shown and (n == "parameters" or n in cost)]
    return {n: f"{cost.parameters:,.0f}" if n == "parameters" else str(cost[n]) for n in names}
