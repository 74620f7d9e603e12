"""Formatting of metric values in tables."""

import math


def as_text(value: float, spec: str = ".4f") -> str:
    """Formats the value of a metric; NaN, the value of every undefined metric, becomes a word.

    Args:
        value: Value of a metric.
        spec: Format specification for numbers.

    Returns:
        The formatted number, or `"undefined"`.

    >>> as_text(0.51239), as_text(float("nan"))
    ('0.5124', 'undefined')
    """
    return "undefined" if math.isnan(value) else format(float(value), spec)
