"""Conversion of a `Hyperparameter` of the registry to KerasTuner."""

from typing import Any

from kranking.architectures import Hyperparameter


def hyperparameter_value(hp: Any, name: str, row: Hyperparameter) -> Any:
    """Registers a parameter with `hp` and returns its value, or `None` if it is inactive.

    Args:
        hp: A `keras_tuner.HyperParameters`.
        name: Name of the parameter in the space.
        row: Range or choices, scale and default of the parameter.
    """
    if row.choices is None:
        whole = isinstance(row.default, int)
        kind, number = (hp.Int, int) if whole else (hp.Float, float)
        sampling = "log" if row.log else "linear"
        low, high = number(row.low or 0), number(row.high or 0)
        return kind(name, low, high, sampling=sampling, default=number(row.default))
    if all(isinstance(choice, bool) for choice in row.choices):
        return hp.Boolean(name, default=row.default)
    if {type(choice) for choice in row.choices} in ({int}, {float}):
        return hp.Choice(name, list(row.choices), default=row.default)
    values = {choice_label(choice): choice for choice in row.choices}
    label = hp.Choice(name, list(values), default=choice_label(row.default))
    return None if label is None else values[label]


def choice_label(choice: Any) -> Any:
    """Returns a label for a choice, since KerasTuner does not support tuples and `None` as choices.

    >>> choice_label((512, 256)), choice_label(()), choice_label(None)
    ('512-256', 'none', 'None')
    """
    if isinstance(choice, tuple | list):
        return "-".join(map(str, choice)) or "none"
    return str(choice)
