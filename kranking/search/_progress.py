"""How far a search is, and how long the rest will take."""

import time
from collections.abc import Callable


class Progress:
    """Says what is left, at the pace at which trials have ended in this process.

    Args:
        total: Trials that the search shall have.
        ended: Those that an earlier run has left; they say nothing about the pace of this one.
        clock: Seconds, from anywhere.

    >>> seconds = iter([0.0, 60.0])
    >>> Progress(30, ended=6, clock=lambda: next(seconds)).line(7)
    'trial 7 of 30, about 23 min left'
    """

    def __init__(self, total: int, ended: int = 0, clock: Callable[[], float] = time.perf_counter):
        self.total, self.before, self.clock = total, ended, clock
        self.start = clock()

    def line(self, ended: int) -> str:
        """Gives the line for so many trials that have ended, earlier runs included."""
        pace = (self.clock() - self.start) / max(1, ended - self.before)
        left = max(0, self.total - ended)
        rest = f"about {_as_text(left * pace)} left" if left else "done"
        return f"trial {ended} of {self.total}, {rest}"


def _as_text(seconds: float) -> str:
    """Gives a duration as one number.

    >>> [_as_text(s) for s in (8.2, 600, 9000)]
    ['8 s', '10 min', '2.5 h']
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"
