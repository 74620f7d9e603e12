"""Coordinate descent from a configuration over budget toward a feasible one."""

from collections.abc import Callable, Mapping
from typing import Any

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
