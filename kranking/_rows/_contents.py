"""The identity of the rows of a log: what they contain, whatever the size and time of a file."""

import os
from collections.abc import Callable, Sequence
from typing import Any

import pyarrow.dataset as pads

from kranking._rows._files import CSV, PARQUET, LogFile, find_log_files, sha256_of
from kranking._rows._in_memory import columns_in
from kranking._rows._open_rows import Source, open_rows


def file_contents(rows: Any) -> list[dict[str, Any]]:
    """Returns name, size, SHA-256 and values of folder names of each file of a log.

    Every byte is read, once per call: sizes and times of modification miss files that were replaced
    (ADR 22). Rows in memory and the files of a dataset have the SHA-256 of their columns.

    Args:
        rows: Rows of any kind that can be read more than once.
    """
    if isinstance(rows, pads.Dataset) or columns_in(rows) is not None:
        return source_contents(open_rows(rows))
    files = find_log_files(rows, (*PARQUET, *CSV))
    return _contents([(file.path, file) for file in files], lambda pair: sha256_of(pair[1]))


def source_contents(source: Source) -> list[dict[str, Any]]:
    """Returns what `file_contents` does, for rows that are open."""
    files = getattr(source, "log_files", {})
    pairs = [(name, files.get(name)) for name in source.files]
    return _contents(pairs, lambda pair: source.sha256(pair[0]))


def _contents(
    files: Sequence[tuple[str, LogFile | None]], digest: Callable[[Any], str]
) -> list[dict[str, Any]]:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        digests = list(pool.map(digest, files))
    return [
        {"name": os.path.basename(name), **_size(file), "sha256": digest, **folder_keys(file)}
        for (name, file), digest in zip(files, digests, strict=True)
    ]


def _size(file: LogFile | None) -> dict[str, Any]:
    return {} if file is None else {"bytes": file.filesystem.get_file_info(file.path).size}


def folder_keys(file: LogFile | None) -> dict[str, Any]:
    """Returns what the folders of a file state as `{"keys": values by column}`, or nothing."""
    keys = {} if file is None else {name: value.as_py() for name, value in file.keys.items()}
    return {"keys": keys} if keys else {}
