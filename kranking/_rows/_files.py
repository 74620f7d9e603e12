"""The files of a log: paths, folders, globs and URLs, with the values that folder names state."""

import glob
import hashlib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.fs as pafs

from kranking._rows._folder_columns import folder_types, values_of_folders
from kranking._rows._in_memory import not_rows
from kranking._rows._listing import check_different, files_below, glob_paths, no_file

Paths = str | os.PathLike | Iterable[str | os.PathLike]
PARQUET = (".parquet",)
CSV = (".csv", ".csv.gz", ".csv.bz2", ".csv.zst", ".tsv", ".tsv.gz", ".tsv.bz2", ".tsv.zst")


@dataclass(frozen=True)
class LogFile:
    """A file of a log.

    Args:
        name: Name in messages, which finds the file again.
        path: Path in its file system.
        filesystem: Its file system.
        keys: Values of the columns that its folders state, as in `day=3/country=DE/0.parquet`.
    """

    name: str
    path: str
    filesystem: pafs.FileSystem
    keys: Mapping[str, pa.Scalar] = field(default_factory=dict)


def find_log_files(
    paths: Any, suffixes: Sequence[str], declared: Mapping[str, pa.DataType] | None = None
) -> list[LogFile]:
    """Returns the files of a path, folder, glob or URL, or a list of these, sorted within each.

    Files and folders whose names begin with `_` or `.` are hidden: below a folder they are not read, as
    in `pyarrow.dataset`. Below a folder or the fixed part of a glob, folders called `column=value` state
    a column, see `folder_types`.

    Args:
        paths: The paths.
        suffixes: Suffixes of the files that are looked for in folders.
        declared: Declared types by column.

    Raises:
        ValueError: If no file matches, or a file would be read twice through symbolic links.
    """
    return _typed(_untyped(paths, suffixes), declared or {})


def _untyped(paths: Any, suffixes: Sequence[str]) -> list[LogFile]:
    """Returns the files, with the values of folder names as text, since one type holds for all files."""
    if isinstance(paths, str | os.PathLike):
        try:
            files = _matches(os.fsdecode(paths), tuple(suffixes))
        except (pa.ArrowException, OSError, UnicodeError) as error:  # of the file system
            raise ValueError(f"{os.fsdecode(paths)!r} cannot be listed: {error}") from error
        if not files:
            raise ValueError(
                f"`paths` must match existing {' or '.join(s for s in suffixes if s.count('.') == 1)} "
                f"files. Received: {os.fsdecode(paths)!r}, which matches none; hidden files, whose names "
                "begin with '_' or '.', are not read"
            )
    elif isinstance(paths, Iterable) and not _is_no_list(paths):
        files = []
        for path in paths:
            if not isinstance(path, str | os.PathLike):
                raise not_rows(paths)
            files += _untyped(path, suffixes)
        if not files:
            raise not_rows(paths)
    else:
        raise not_rows(paths)
    return files


def _is_no_list(paths: Any) -> bool:
    # The order of a set of paths, and so that of the rows, differs between two processes.
    kinds = np.ndarray | bytes | Mapping | set | frozenset
    return isinstance(paths, kinds) or hasattr(paths, "read")


def sha256_of(file: LogFile) -> str:
    """Returns the SHA-256 of the bytes of a file."""
    digest = hashlib.sha256()
    with file.filesystem.open_input_stream(file.path, compression=None) as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _matches(text: str, suffixes: tuple[str, ...]) -> list[LogFile]:
    filesystem, path, prefix = (
        _of_url(text) if "://" in text else (pafs.LocalFileSystem(), text, "")
    )
    local = isinstance(filesystem, pafs.LocalFileSystem)
    kind = filesystem.get_file_info(path).type if path else pafs.FileType.NotFound
    if kind == pafs.FileType.Unknown:
        raise no_file(text)
    if kind == pafs.FileType.File:
        return [LogFile(prefix + path, path, filesystem)]
    if kind == pafs.FileType.Directory:
        base, files = path, files_below(filesystem, [path], suffixes)
    elif glob.has_magic(path):
        base, found = glob_paths(filesystem, path)
        infos = {info.path: info.type for info in filesystem.get_file_info(found)}
        for special in (path for path, kind in infos.items() if kind == pafs.FileType.Unknown):
            raise no_file(special)
        folders = [path for path, kind in infos.items() if kind == pafs.FileType.Directory]
        files = [path for path in infos if path not in folders]
        files = sorted({*files, *files_below(filesystem, folders, suffixes)})
    else:
        return []
    if local:
        check_different(files)
    return [_file(filesystem, prefix, base, file) for file in sorted(files)]


def _of_url(url: str) -> tuple[pafs.FileSystem, str, str]:
    """Returns the file system of a URL, the path in it, and the prefix that makes a URL of a path."""
    scheme = url.split("://")[0]
    try:
        if scheme == "file":
            return pafs.LocalFileSystem(), pafs.FileSystem.from_uri(_quoted(url))[1], ""
        filesystem, path = pafs.FileSystem.from_uri(_quoted(url))
        return filesystem, path, f"{scheme}://"
    except pa.ArrowInvalid as error:  # a scheme that Arrow does not know
        unknown = error
    except OSError as error:
        raise ValueError(f"{url!r} cannot be reached. Received: {error}") from error
    try:
        from fsspec.core import url_to_fs
        from fsspec.implementations.local import LocalFileSystem
    except ImportError:
        raise ValueError(
            f"{url!r} is of no file system that Arrow knows; install fsspec to read it. Arrow says: "
            f"{unknown}"
        ) from unknown
    try:
        found, path = url_to_fs(url)
    except Exception as error:  # of fsspec or of the library of a file system
        raise ValueError(f"{url!r} cannot be opened with fsspec. Received: {error}") from error
    if isinstance(found, LocalFileSystem):
        return pafs.LocalFileSystem(), path, ""
    prefix = f"{scheme}:/" if path.startswith("/") else f"{scheme}://"
    return pafs.PyFileSystem(pafs.FSSpecHandler(found)), path, prefix


def _quoted(url: str) -> str:
    special = (
        r"[ \[\]*?]" if url.startswith("file:") else r"[ \[\]*]"
    )  # others have options after `?`
    return re.sub(special, lambda found: f"%{ord(found[0]):02X}", url)


def _file(filesystem: pafs.FileSystem, prefix: str, base: str, path: str) -> LogFile:
    return LogFile(prefix + path, path, filesystem, values_of_folders(path, base))


def _typed(files: list[LogFile], declared: Mapping[str, pa.DataType]) -> list[LogFile]:
    types = folder_types([file.keys for file in files], declared)
    return [
        replace(file, keys={n: v.cast(types.get(n, v.type)) for n, v in file.keys.items()})
        for file in files
    ]
