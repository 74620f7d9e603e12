"""Epochs of a stream for a caller that requests batches by index, in any order, and may restart."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

from kranking.data._prefetcher import Prefetcher

_LOOKED_AT = 2  # batches that Keras may take before an epoch to infer shapes: two on TensorFlow


class Passes:
    """Serves every batch of an epoch once, in the order of the stream, independent of the indices.

    `fit` in Keras requests batches in random order unless `shuffle=False`, which a stream cannot
    follow. The indices only show which batches have been requested: a pass is complete when all
    have. Keras also takes one or two batches to build the model and then restarts; these batches
    are served again.

    Args:
        num_batches: Number of batches per epoch.
        open_epoch: Function that returns the stream of an epoch for its number.

    Attributes:
        error: The last exception raised while reading.
    """

    def __init__(self, num_batches: int, open_epoch: Callable[[int], Iterator[Any]]):
        self.num_batches, self.open_epoch = num_batches, open_epoch
        self._epoch = 0
        self.error: BaseException | None = None
        self._lock = threading.Lock()
        self._begins = False
        self._ahead: Prefetcher | None = None
        self._reset()

    @property
    def epoch(self) -> int:
        """Number of the current or next epoch. Setting another one drops the batches read so far."""
        return self._epoch

    @epoch.setter
    def epoch(self, number: int) -> None:
        with self._lock:
            if number != self._epoch:
                self._epoch = number
                self._reset()

    def __reduce__(self):
        """Another process reads on from the start of the current epoch."""
        return _passes_at, (self.num_batches, self.open_epoch, self._epoch)

    def begin(self) -> None:
        """Starts a new pass with the next `take`."""
        self._begins = True

    def take(self, index: int) -> Any:
        """Returns the next batch."""
        if not 0 <= index < self.num_batches:
            raise IndexError(f"`index` must be in [0, {self.num_batches}). Received: index={index}")
        with self._lock:
            if self._begins or index in self._served:
                self._start_over()
            batch = self._again.pop(0) if self._again else self._read()
            if len(self._served) < _LOOKED_AT:
                self._first.append(batch)
            self._served.add(index)
            if len(self._served) == self.num_batches:
                self._reset()
                self._epoch += 1
        return batch

    def _start_over(self):
        if len(self._served) > len(self._first):  # reread from the start
            self._reset()
        self._again = [*self._first, *self._again]
        self._first, self._served, self._begins = [], set(), False

    def _reset(self):
        if self._ahead is not None:
            self._ahead.close()
        self._ahead = None
        self._served: set[int] = set()
        self._first: list[Any] = []
        self._again: list[Any] = []

    def _read(self):
        if self._ahead is None:
            open_epoch, epoch = self.open_epoch, self._epoch
            self._ahead = Prefetcher(lambda: open_epoch(epoch))  # holds no reference to `self`
        try:
            return next(self._ahead)
        except BaseException as error:
            self._reset()
            self.error = error
            raise


def _passes_at(num_batches: int, open_epoch: Callable[[int], Iterator[Any]], epoch: int) -> Passes:
    passes = Passes(num_batches, open_epoch)
    passes.epoch = epoch
    return passes
