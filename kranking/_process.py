"""Settings of the process, changed for a moment: restored, also if several threads change one at once."""

import io
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any

_LOCK = threading.RLock()


class Setting:
    """A setting of the process that has another value while any thread needs it.

    Threads that each kept the value that they found would restore the changed one: the first to begin
    need not be the last to end.

    Args:
        read: Returns the value of the setting.
        write: Sets it.
    """

    def __init__(self, read: Callable[[], Any], write: Callable[[Any], None]):
        self._read, self._write = read, write
        self._users, self._before = 0, None

    @contextmanager
    def held(self, value: Any) -> Iterator[None]:
        """Sets the value until the block ends, or the last of several that overlap."""
        with _LOCK:
            if not self._users:
                self._before = self._read()
                self._write(value)
            self._users += 1
        try:
            yield
        finally:
            with _LOCK:
                self._users -= 1
                if not self._users:
                    self._write(self._before)


@contextmanager
def no_warnings() -> Iterator[None]:
    """Ignores all warnings, in one thread at a time."""
    with _LOCK, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def no_output() -> Iterator[None]:
    """Drops what is printed, in one thread at a time."""
    with _LOCK, redirect_stdout(io.StringIO()):
        yield
