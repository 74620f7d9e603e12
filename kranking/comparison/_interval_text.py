"""Formatting of intervals for reports."""

import math

from kranking.comparison._intervals import Interval


def spread_text(found: Interval) -> str:
    """Formats a spread with its interval."""
    if math.isnan(found.estimate):
        return "undefined"
    return f"{found.estimate:.4f} [{found.low:.4f}, {found.high:.4f}]"


def percent(difference: Interval | None, base: float) -> str:
    """Formats a difference in percent of `base` with its interval."""
    if difference is None or math.isnan(difference.estimate):
        return "–" if difference is None else "undefined"
    if not base:
        return str(difference)  # a relative difference is undefined
    low, high = sorted((100 * difference.low / base, 100 * difference.high / base))
    return f"{100 * difference.estimate / base:+.2f} % [{low:+.2f}, {high:+.2f}]"
