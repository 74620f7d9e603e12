"""Reading ahead in a thread, so that training never waits for the disk."""

import queue
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any


class Prefetcher:
    """Iterates over what `make` gives, a few items ahead; errors come out as they were raised.

    `close()` ends the thread and waits for it.

    Args:
        make: Makes the iterator; called in the thread.
        ahead: Items held ready.
    """

    def __init__(self, make: Callable[[], Iterator[Any]], ahead: int = 4):
        self._queue: queue.Queue = queue.Queue(ahead)
        self._stop = threading.Event()
        thread = threading.Thread(
            target=_produce, args=(make, self._queue, self._stop), daemon=True
        )
        # The thread does not hold `self`: an iterator that is abandoned is collected, and that
        # ends the thread; so does the end of the program.
        self.close = weakref.finalize(self, _end, thread, self._stop)
        thread.start()

    def __iter__(self):
        return self

    def __next__(self):
        if self._stop.is_set():
            raise StopIteration
        kind, value = self._queue.get()
        if kind == "item":
            return value
        self.close()
        if kind == "error":
            raise value
        raise StopIteration


def _produce(make, items, stop):
    try:
        for value in make():
            if not _put(items, ("item", value), stop):
                return
        _put(items, ("end", None), stop)
    except BaseException as error:  # whatever it is, the reader must hear of it and not wait
        _put(items, ("error", error), stop)


def _end(thread, stop):
    stop.set()
    if thread is not threading.current_thread():  # garbage is collected in any thread
        thread.join()


def _put(items, entry, stop):
    while not stop.is_set():
        try:
            items.put(entry, timeout=0.1)
            return True
        except queue.Full:
            continue
    return False
