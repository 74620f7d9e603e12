"""Coordinate descent from a configuration over budget toward a feasible one."""

from collections.abc import Callable, Mapping
from typing import Any

from kranking.search._rejection import NoFeasiblePoint

_STEPS = (0.0, 0.25, 0.5, 0.75, 1.0)  # fractions of a range
Values = Mapping[str, Any]


def descend(space: Any, start: Values, excess: Callable[[Values], float]) -> Values:
    """Changes one parameter at a time to its best value until the excess is 0 or no longer decreases.

    Args:
        space: A `keras_tuner.HyperParameters` in which parents precede their children.
        start: The configuration to start from.
        excess: Function from values to the excess over the budget; at most 0 is feasible.

    Returns:
        The last configuration.
    """
    best, over = dict(start), excess(start)
    while over > 0:
        moves = [move for parameter in space.space for move in _moves(space, best, parameter)]
        found = min(moves, key=excess, default=best)
        if excess(found) >= over:
            break
        best, over = found, excess(found)
    return best


def _moves(space: Any, values: Values, parameter: Any) -> list[dict[str, Any]]:
    if parameter.name not in values or not hasattr(parameter, "prob_to_value"):
        return []
    choices = getattr(parameter, "values", None)
    others = [parameter.prob_to_value(p) for p in _STEPS] if choices is None else choices
    return [
        active_values(space, {**values, parameter.name: other})
        for other in dict.fromkeys(others)
        if other != values[parameter.name]
    ]


def active_values(space: Any, values: Values) -> dict[str, Any]:
    """Returns the active values, with defaults for newly active parameters."""
    hp = type(space)()
    for parameter in space.space:
        hp.merge([parameter])
        if hp.is_active(parameter):
            hp.values[parameter.name] = values.get(parameter.name, parameter.default)
    return dict(hp.values)


def nearest_within(oracle: Any, drawn: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Returns a configuration within the budget near rejected draws, `None` if it was tried already.

    Args:
        oracle: A `BudgetOracle`.
        drawn: The draws.

    Raises:
        NoFeasiblePoint: If there is none, and none was found before.
    """
    space, verdicts = oracle.get_space(), oracle.verdicts
    starts: dict[Any, dict[str, Any]] = {}
    for values in sorted(drawn, key=verdicts.excess):
        starts.setdefault(values.get("architecture"), values)
    for start in (*starts.values(), active_values(space, {})):
        end = dict(descend(space, start, verdicts.excess_by_formula))
        verdicts.confirmations = 0  # the limit applies per architecture
        if oracle.rejection(end) is None and not oracle._duplicate(end):
            return end
    if verdicts.any_within:
        return None  # all feasible configurations that were found have been tried
    nearest = min(oracle.rejected, key=lambda one: one.excess)
    raise NoFeasiblePoint(nearest, len(verdicts))
