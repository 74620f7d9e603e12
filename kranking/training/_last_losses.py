"""A sliding window of losses with its median."""

import bisect
from collections import deque


class LastLosses:
    """A sliding window of losses with its median.

    Args:
        size: Number of losses to keep.
    """

    def __init__(self, size: int):
        self._size = size
        self._last: deque[float] = deque()
        self._sorted: list[float] = []

    def __len__(self) -> int:
        return len(self._last)

    def add(self, loss: float) -> None:
        """Adds a loss and drops the oldest one if the window is full."""
        self._last.append(loss)
        bisect.insort(self._sorted, loss)
        if len(self._last) > self._size:
            del self._sorted[bisect.bisect_left(self._sorted, self._last.popleft())]

    def median(self) -> float:
        """Returns the upper median."""
        return self._sorted[len(self._sorted) // 2]
