"""The one wording of a metric's value in tables."""

import math


def as_text(value: float, spec: str = ".4f") -> str:
    """Gives a metric's value as text: NaN, which every metric gives for "no answer", in words.

    Args:
        value: Value of a metric.
        spec: Format of a number.

    Returns:
        The formatted number, or `"undefined"`.

    >>> as_text(0.51239), as_text(float("nan"))
    ('0.5124', 'undefined')
    """
    return "undefined" if math.isnan(value) else format(float(value), spec)
