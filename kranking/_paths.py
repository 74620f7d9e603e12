"""Paths that callers choose: checked, and errors of the file system that they cause."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# Errors that are due to a path; others, such as a full disk, keep their class.
_OF_PATHS = (
    FileNotFoundError,
    FileExistsError,
    IsADirectoryError,
    NotADirectoryError,
    PermissionError,
)
_CODES = (errno.ENAMETOOLONG, errno.ELOOP, errno.EROFS)
_LONGEST = 255  # bytes of a name, on all common file systems


def as_path(argument: str, value: Any) -> Path:
    """Returns a path; raises `ValueError` if a value cannot be one."""
    text = os.fspath(value) if isinstance(value, str | os.PathLike) else None
    if not isinstance(text, str) or not text:
        raise ValueError(f"`{argument}` must be a path. Received: {argument}={value!r}")
    if "\0" in text or any(len(os.fsencode(part)) > _LONGEST for part in Path(text).parts):
        raise ValueError(
            f"`{argument}` must be a path without null characters, and with names of at most {_LONGEST} "
            f"bytes. Received: {argument}={text[:300]!r}"
        )
    return Path(text)


@contextmanager
def path_errors(path: Any, expected: str = "") -> Iterator[None]:
    """Turns errors of the file system that are due to the path into a `ValueError` that names it."""
    try:
        yield
    except OSError as error:
        if not isinstance(error, _OF_PATHS) and error.errno not in _CODES:
            raise
        expected = expected or (
            "a file that exists, or to write, a file in an existing folder that may be changed"
        )
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise ValueError(f"{str(path)!r} must be {expected}. Received: {reason}") from error


def make_folder(path: Path) -> None:
    """Creates a folder with its parents unless it exists; raises `ValueError` where it cannot be."""
    with path_errors(path, "a folder, or one that can be created"):
        path.mkdir(parents=True, exist_ok=True)
