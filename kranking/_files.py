"""Atomic writes of files, and temporary names that are removed even if their process was killed."""

import contextlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from kranking._paths import path_errors

try:
    import fcntl
except ImportError:  # Windows, where an open file can be neither renamed nor removed
    fcntl = None

_TEMPORARY = re.compile(r"\.(.+)\.[0-9a-f]{32}\.tmp", re.DOTALL)


@contextmanager
def replaced(path: str | os.PathLike, *, fsync: bool = False) -> Iterator[Path]:
    """Yields a temporary path to write to, which replaces `path` when the block ends without an error.

    The temporary file is in the folder of `path`: see `temporary_beside`. As with `open(path, "w")`, the
    folder must exist, a symbolic link is followed (its target is replaced, the link remains), an existing
    file keeps its mode, and the mode of a new file follows the umask.

    Args:
        path: The file.
        fsync: Whether to sync file and folder to the disk, so that the file survives a power failure.
    """
    path = Path(os.path.realpath(os.fsdecode(path)))
    if path.exists() and not (path.is_file() or path.is_dir()):
        yield path
        return
    with temporary_beside(path) as temporary:
        yield temporary
        if path.exists():
            shutil.copymode(path, temporary)
        if fsync:
            _sync(temporary)
        with path_errors(path):
            os.replace(temporary, path)
    if fsync:
        _sync(path.parent)


@contextmanager
def temporary_beside(
    path: Path, *, folder: bool = False, mode: int | None = None
) -> Iterator[Path]:
    """Yields a new, empty file or folder next to `path`, which is removed at the end if it is still there.

    No other process or thread uses its name, `.NAME.HEX.tmp`: it is hidden, and listing a folder by suffix
    never returns an unfinished file. The process holds a lock on it. What a killed process left is no
    longer locked, and the next call for the same `path` removes it. File systems without locks keep it.

    Args:
        path: The path that the temporary one will replace.
        folder: Whether to create a folder.
        mode: Its mode; by default, that of any new file or folder, which follows the umask.
    """
    start = path.name[:40]  # truncated, since file systems allow names of 255 bytes
    remove_abandoned(path.parent, start)
    with path_errors(path):
        temporary, lock = _created(path.parent, start, folder, mode)
    try:
        yield temporary
    finally:
        _remove(temporary)
        if lock is not None:
            os.close(lock)


def is_temporary(name: str, of: str | None = None) -> bool:
    """Whether a file has a temporary name, made for the name `of` if it is given."""
    found = _TEMPORARY.fullmatch(name)
    return found is not None and of in (None, found[1])


def abandoned(folder: Path, of: str | None = None) -> Iterator[Path]:
    """Yields the temporary files and folders in a folder whose process has ended.

    They are locked until the next one is requested, so that no other process treats them too.

    Args:
        folder: The folder.
        of: The name that they are for; `None` for any.
    """
    if fcntl is None or not folder.is_dir():
        return
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if is_temporary(entry.name, of)]
    for name in names:
        with contextlib.suppress(OSError):  # locked, gone, of another user, or without locks
            path = folder / name
            kind = os.O_RDONLY if path.is_dir() else os.O_RDWR  # NFS locks what is open for writing
            lock = os.open(path, kind | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                yield path
            finally:
                os.close(lock)


def remove_abandoned(folder: Path, of: str | None = None) -> None:
    """Removes the temporary files and folders in a folder whose process has ended."""
    for path in abandoned(folder, of):
        _remove(path)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Holds a lock on a folder, for which others wait; does nothing where there are no locks."""
    if fcntl is None:
        yield
        return
    lock = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _created(parent: Path, start: str, folder: bool, mode: int | None) -> tuple[Path, int | None]:
    """Returns a new temporary path and the descriptor that holds its lock."""
    while True:
        path = parent / f".{start}.{uuid4().hex}.tmp"
        if folder:
            os.mkdir(path, 0o777 if mode is None else mode)
        else:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL, 0o666 if mode is None else mode))
        if fcntl is None:
            return path, None
        with contextlib.suppress(FileNotFoundError, BlockingIOError):
            return path, _lock(path)
        # Another process saw the path before it was locked, and removes it.


def _lock(path: Path) -> int | None:
    """Locks a path; `None` if the file system has no locks, an error if another process removes it."""
    lock = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # pyright: ignore
        same = os.path.samestat(os.stat(path), os.fstat(lock))
    except (FileNotFoundError, BlockingIOError):
        os.close(lock)
        raise
    except OSError:
        os.close(lock)
        return None
    if not same:
        os.close(lock)
        raise FileNotFoundError(path)
    return lock


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def write_text(path: str | os.PathLike, text: str, *, fsync: bool = False) -> None:
    """Writes UTF-8 text with `replaced`."""
    with replaced(path, fsync=fsync) as temporary:
        temporary.write_text(text, encoding="utf-8")


def create_text(path: Path, text: str, *, fsync: bool = False) -> bool:
    """Writes a new file, whole or not at all; returns `False` if the file exists, which is unchanged."""
    with temporary_beside(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
        if fsync:
            _sync(temporary)
        try:
            os.link(temporary, path)
        except FileExistsError:
            return False
        except OSError:  # a file system without hard links
            if path.exists():
                return False
            os.replace(temporary, path)
    return True


def write_json(
    path: str | os.PathLike,
    value: Any,
    *,
    indent: int | None = 1,
    fsync: bool = False,
    **options: Any,
) -> None:
    """Writes a value as JSON with a final newline; `options` are those of `json.dumps`."""
    write_text(path, json.dumps(value, indent=indent, **options) + "\n", fsync=fsync)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
