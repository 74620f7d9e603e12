"""Atomic creation and replacement of folders."""

import ctypes
import errno
import glob
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from kranking._files import abandoned, locked, temporary_beside, write_json
from kranking._paths import make_folder

_OCCUPIED = (errno.ENOTEMPTY, errno.EEXIST)
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2
_PARTS, _NOTES = "parts", "renamed.json"


@contextmanager
def replaced_folder(
    directory: Path, check: Callable[[Path], None] = lambda _: None
) -> Iterator[Path]:
    """Yields a new folder, which replaces `directory` when the block ends without an error.

    The folder is next to `directory`, so that renaming it is atomic. On Linux, the two change places: at
    no time is there no folder. Elsewhere the old one is first moved away, under a hidden name that ends in
    `.replaced`, where it stays if the process is killed before the second renaming.

    Args:
        directory: The folder. A symbolic link is followed.
        check: Called with `directory` before it is replaced; may raise an error.
    """
    directory = Path(os.path.realpath(directory))
    make_folder(directory.parent)
    with temporary_beside(directory, folder=True) as staging:
        yield staging
        check(directory)
        while not (renamed(staging, directory) or _exchanged(staging, directory)):
            _moved_away(directory)
    for left in directory.parent.glob(f".{glob.escape(directory.name[:40])}.*.replaced"):
        shutil.rmtree(left, ignore_errors=True)


def renamed(staging: Path, directory: Path) -> bool:
    """Renames a folder unless there is one with files under the new name; returns whether it did."""
    try:
        os.rename(staging, directory)  # POSIX replaces an empty folder
    except OSError as error:
        if error.errno not in _OCCUPIED:
            raise
        return False
    return True


def _exchanged(one: Path, other: Path) -> bool:
    """Swaps two folders in one step; returns `False` where the system cannot."""
    if not sys.platform.startswith("linux"):
        return False
    swap = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if swap is None:  # an old C library
        return False
    return swap(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0


def _moved_away(directory: Path) -> None:
    with temporary_beside(directory, folder=True) as aside:
        kept = aside.with_suffix(".replaced")
    try:
        os.rename(directory, kept)
    except FileNotFoundError:  # by another process, which replaces it too
        return


@contextmanager
def new_folders(parent: Path, names: Sequence[str]) -> Iterator[Path]:
    """Yields a hidden folder in `parent` for folders with these names, which appear there at the end.

    None of them appears if there is an error. If a process is killed while it renames them, the next one
    removes those that it had renamed: its hidden folder notes which they are.

    Args:
        parent: The folder, which is created if needed.
        names: Names of the folders to write.

    Raises:
        ValueError: If one of them exists, at the beginning or at the end.
    """
    make_folder(parent)
    with locked(parent):
        for left in abandoned(parent, _PARTS):
            _undo(left, parent)
            shutil.rmtree(left, ignore_errors=True)
    _check_new(parent, names)
    with temporary_beside(parent / _PARTS, folder=True) as hidden:
        yield hidden
        with locked(parent):
            _check_new(parent, names)
            write_json(hidden / _NOTES, {n: (hidden / n).stat().st_ino for n in names}, fsync=True)
            try:
                for name in names:
                    os.rename(hidden / name, parent / name)
            except OSError:
                _undo(hidden, parent)
                raise


def _check_new(parent: Path, names: Sequence[str]) -> None:
    for name in names:
        if (parent / name).exists():
            raise ValueError(f"`out` must not contain {name!r} yet. Received: {parent}")


def _undo(left: Path, parent: Path) -> None:
    """Removes the folders that a killed process renamed before it had renamed all of them."""
    try:
        noted = dict(json.loads((left / _NOTES).read_text("utf-8")))
    except (OSError, ValueError, TypeError):  # killed before it began to
        return
    for name, number in noted.items():
        path = parent / name
        if path.is_dir() and not (left / name).exists() and path.stat().st_ino == number:
            shutil.rmtree(path)
