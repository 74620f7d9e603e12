"""Prefetching in a thread, so that training does not wait for the disk."""

import os
import queue
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any


class Prefetcher:
    """Prefetches an iterator in a thread, and reraises its exceptions.

    `close()` stops the thread and waits for it.

    Args:
        make: Function that creates the iterator; called in the thread.
        ahead: Number of prefetched items.
    """

    def __init__(self, make: Callable[[], Iterator[Any]], ahead: int = 4):
        self._process = os.getpid()
        self._queue: queue.Queue = queue.Queue(ahead)
        self._stop = threading.Event()
        thread = threading.Thread(
            target=_produce, args=(make, self._queue, self._stop), daemon=True
        )
        # The thread does not reference `self`: an abandoned iterator is garbage-collected, which
        # stops the thread, as does the exit of the program.
        self.close = weakref.finalize(self, _end, thread, self._stop)
        thread.start()

    def __iter__(self):
        return self

    def __next__(self):
        if os.getpid() != self._process:  # it would wait forever
            raise RuntimeError(
                "A reader that is being read must not be read on in a forked process, which does not have "
                "its thread. Begin a new pass there. Received: an iterator of the parent process"
            )
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
    except BaseException as error:  # pass on any exception, or the reader would wait forever
        _put(items, ("error", error), stop)


def _end(thread, stop):
    stop.set()
    if thread is not threading.current_thread():  # garbage collection can run in any thread
        thread.join()


def _put(items, entry, stop):
    while not stop.is_set():
        try:
            items.put(entry, timeout=0.1)
            return True
        except queue.Full:
            continue
    return False
