"""The files of a log: paths, folders, globs and URLs, with the values that folder names state."""

import glob
import hashlib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import translate
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.fs as pafs

from kranking._rows._in_memory import check_names, not_rows

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


def find_log_files(paths: Any, suffixes: Sequence[str]) -> list[LogFile]:
    """Returns the files of a path, folder, glob or URL, or a list of these, sorted within each.

    Files and folders whose names begin with `_` or `.` are hidden: below a folder they are not read, as
    in `pyarrow.dataset`. Below a folder or the fixed part of a glob, folders called `column=value` state
    a column, of integers if all of its values are integers.

    Raises:
        ValueError: If no file matches.
    """
    return _typed(_untyped(paths, suffixes))


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
    return isinstance(paths, np.ndarray | bytes | Mapping) or hasattr(paths, "read")


def sha256_of(file: LogFile) -> str:
    """Returns the SHA-256 of the bytes of a file."""
    digest = hashlib.sha256()
    with file.filesystem.open_input_stream(file.path, compression=None) as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _matches(text: str, suffixes: tuple[str, ...]) -> list[LogFile]:
    local = "://" not in text
    filesystem, path, prefix = (pafs.LocalFileSystem(), text, "") if local else _of_url(text)
    local = isinstance(filesystem, pafs.LocalFileSystem)
    kind = filesystem.get_file_info(path).type if path else pafs.FileType.NotFound
    if kind == pafs.FileType.File or (local and os.path.exists(path) and not os.path.isdir(path)):
        return [LogFile(prefix + path, path, filesystem)]
    if kind == pafs.FileType.Directory:
        found = _below(filesystem, path, suffixes)
        return [_file(filesystem, prefix, path, file) for file in sorted(found)]
    if not glob.has_magic(path):
        return []
    fixed = path[: re.search(r"[^/]*[*?\[]", path).start()]  # pyright: ignore
    found = glob.glob(path, recursive=True) if local else _glob(filesystem, fixed, path)
    hidden = {part[:1] for part in path[len(fixed) :].split("/")} & {"_", "."}  # asked for
    found = [file for file in found if _is_visible(file[len(fixed) :], hidden)]
    for folder in filesystem.get_file_info(found):
        if folder.type == pafs.FileType.Directory:
            found.remove(folder.path)
            found += _below(filesystem, folder.path, suffixes)
    return [_file(filesystem, prefix, fixed, file) for file in sorted(set(found))]


def _below(filesystem: pafs.FileSystem, folder: str, suffixes: tuple[str, ...]) -> list[str]:
    infos = filesystem.get_file_info(pafs.FileSelector(folder, recursive=True))
    start = len(folder.rstrip("/"))
    if isinstance(filesystem, pafs.LocalFileSystem):
        _check_links(info.path for info in infos if info.type == pafs.FileType.Directory)
    return [
        info.path
        for info in infos
        if info.type == pafs.FileType.File
        and info.path.lower().endswith(suffixes)
        and _is_visible(info.path[start:])
    ]


def _check_links(folders: Iterable[str]) -> None:
    """Raises `ValueError` if a folder links to one above it, whose files would be read many times."""
    for folder in folders:
        if os.path.islink(folder):
            above, target = os.path.realpath(os.path.dirname(folder)), os.path.realpath(folder)
            if os.path.commonpath([above, target]) == target:
                raise ValueError(
                    f"Folders must not link to a folder above. Received: {folder!r}, which is {target!r}"
                )


def _is_visible(path: str, asked: Iterable[str] = ()) -> bool:
    parts = [part for part in path.split("/") if part not in ("", ".", "..")]
    return all(part[0] not in "_." or part[0] in asked for part in parts)


def _glob(filesystem: pafs.FileSystem, fixed: str, pattern: str) -> list[str]:
    parts = pattern[len(fixed) :].split("/")
    regex = "/".join(
        "**" if p == "**" else translate(p)[4:-3].replace(".*", "[^/]*") for p in parts
    )
    wanted = re.compile(regex.replace("**/", "(?:.*/)?").replace("**", ".*"), re.DOTALL)
    selector = pafs.FileSelector(fixed.rstrip("/"), recursive=True, allow_not_found=True)
    infos = filesystem.get_file_info(selector)
    return [info.path for info in infos if wanted.fullmatch(info.path[len(fixed) :])]


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
    except ImportError:
        raise ValueError(
            f"{url!r} is of no file system that Arrow knows; install fsspec to read it. Arrow says: "
            f"{unknown}"
        ) from unknown
    try:
        found, path = url_to_fs(url)
    except Exception as error:  # of fsspec or of the library of a file system
        raise ValueError(f"{url!r} cannot be opened with fsspec. Received: {error}") from error
    prefix = f"{scheme}:/" if path.startswith("/") else f"{scheme}://"
    return pafs.PyFileSystem(pafs.FSSpecHandler(found)), path, prefix


def _quoted(url: str) -> str:
    special = (
        r"[ \[\]*?]" if url.startswith("file:") else r"[ \[\]*]"
    )  # others have options after `?`
    return re.sub(special, lambda found: f"%{ord(found[0]):02X}", url)


def _file(filesystem: pafs.FileSystem, prefix: str, base: str, path: str) -> LogFile:
    folders = path[len(base) :].split("/")[:-1]
    names = [folder.split("=")[0] for folder in folders if "=" in folder[1:]]
    keys = {}
    if names:
        check_names(names, f"the folders of {path!r}")
        schema = pa.schema([(name, pa.string()) for name in names])
        stated = pads.HivePartitioning(schema).parse("/".join([*folders, ""]))
        values = pads.get_partition_keys(stated)
        keys = {name: pa.scalar(values.get(name), pa.string()) for name in names}
    return LogFile(prefix + path, path, filesystem, keys)


def _typed(files: list[LogFile]) -> list[LogFile]:
    """Converts the values that folders state to integers, if all are, and none twice as 1 and 01."""
    texts: dict[str, set] = {}
    for file in files:
        for name, value in file.keys.items():
            texts.setdefault(name, set()).add(value.as_py())
    whole = re.compile(r"-?\d{1,18}")
    types = {}
    for name, values in texts.items():
        if stated := values - {None}:
            integers = {int(v) for v in stated if whole.fullmatch(v)}
            types[name] = pa.int64() if len(integers) == len(stated) else pa.string()
    return [
        replace(file, keys={n: v.cast(types.get(n, v.type)) for n, v in file.keys.items()})
        for file in files
    ]
