"""Atomic writes of files."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4


@contextmanager
def replaced(path: str | os.PathLike, *, fsync: bool = False) -> Iterator[Path]:
    """Yields a temporary path to write to, which replaces `path` when the block ends without an error.

    The temporary file is in the folder of `path`, under a name that no other process or thread uses, and
    is removed on an error. As with `open(path, "w")`, the folder must exist, a symbolic link is followed
    (its target is replaced, the link remains), an existing file keeps its mode, and the mode of a new file
    follows the umask. The temporary name always ends in `.tmp`, so that listing a folder by suffix never
    returns an unfinished file.

    Args:
        path: The file.
        fsync: Whether to sync file and folder to the disk, so that the file survives a power failure.
    """
    path = Path(os.path.realpath(os.fsdecode(path)))
    if path.exists() and not (path.is_file() or path.is_dir()):
        yield path
        return
    start = path.name[:40]  # truncated, since file systems allow names of 255 bytes
    temporary = path.with_name(f".{start}.{uuid4().hex}.tmp")
    try:
        yield temporary
        if path.exists():
            shutil.copymode(path, temporary)
        if fsync:
            _sync(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    if fsync:
        _sync(path.parent)


def write_text(path: str | os.PathLike, text: str, *, fsync: bool = False) -> None:
    """Writes UTF-8 text with `replaced`."""
    with replaced(path, fsync=fsync) as temporary:
        temporary.write_text(text, encoding="utf-8")


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
