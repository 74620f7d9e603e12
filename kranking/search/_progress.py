"""Progress and remaining time of a search."""

import time
from collections.abc import Callable


class Progress:
    """Estimates the remaining time from the pace of the trials in this process.

    Args:
        total: Total number of trials.
        ended: Number of trials completed in earlier runs, which do not count for the pace.
        clock: Function that returns seconds.

    >>> seconds = iter([0.0, 60.0])
    >>> Progress(30, ended=6, clock=lambda: next(seconds)).line(7)
    'trial 7 of 30, about 23 min left'
    """

    def __init__(self, total: int, ended: int = 0, clock: Callable[[], float] = time.perf_counter):
        self.total, self.before, self.clock = total, ended, clock
        self.start = clock()

    def line(self, ended: int) -> str:
        """Returns the progress line after `ended` trials, including those of earlier runs."""
        pace = (self.clock() - self.start) / max(1, ended - self.before)
        left = max(0, self.total - ended)
        rest = f"about {_as_text(left * pace)} left" if left else "done"
        return f"trial {ended} of {self.total}, {rest}"


def _as_text(seconds: float) -> str:
    """Formats a duration as one number with a unit.

    >>> [_as_text(s) for s in (8.2, 600, 9000)]
    ['8 s', '10 min', '2.5 h']
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"
