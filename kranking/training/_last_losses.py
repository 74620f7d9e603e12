"""The last losses of a training, and their median."""

import bisect
from collections import deque


class LastLosses:
    """The last losses, and their median.

    Args:
        size: How many.
    """

    def __init__(self, size: int):
        self._size = size
        self._last: deque[float] = deque()
        self._sorted: list[float] = []

    def __len__(self) -> int:
        return len(self._last)

    def add(self, loss: float) -> None:
        """Adds one; the oldest goes."""
        self._last.append(loss)
        bisect.insort(self._sorted, loss)
        if len(self._last) > self._size:
            del self._sorted[bisect.bisect_left(self._sorted, self._last.popleft())]

    def median(self) -> float:
        """Gives the upper median."""
        return self._sorted[len(self._sorted) // 2]
