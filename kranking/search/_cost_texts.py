"""Cost figures shown in the report of a search."""

from kranking.budget import Budget, Cost

_FIGURES = ("memory", "latency_p50", "latency_p99", "parameters", "flops")


def cost_texts(budget: Budget, cost: Cost | None) -> dict[str, str]:
    """Returns memory, median latency and the figures limited by the budget, as text by name."""
    if cost is None:
        return {}
    shown = {limit.figure for limit in budget.limits} | {"memory", "latency_p50"}
    names = [n for n in _FIGURES if n in shown and (n == "parameters" or n in cost)]
    return {n: f"{cost.parameters:,.0f}" if n == "parameters" else str(cost[n]) for n in names}
