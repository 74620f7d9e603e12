"""Search for the Parquet files of a log."""

import glob
import os
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

Paths = str | os.PathLike | Iterable[str | os.PathLike]


def find_files(paths: Paths, suffix: str = ".parquet") -> list[str]:
    """Returns the files of a path, a folder, a glob or a list of these, sorted within each.

    Raises:
        ValueError: If no file matches.
    """
    if not isinstance(paths, str | os.PathLike):
        return [file for path in paths for file in find_files(path, suffix)]
    text = os.fspath(paths)
    if os.path.isdir(text):
        files = sorted(str(p) for p in Path(text).rglob(f"*{suffix}"))
    elif glob.has_magic(text) and not os.path.exists(text):
        files = sorted(glob.glob(text, recursive=True))
    else:
        files = [text] if os.path.exists(text) else []
    if not files:
        raise ValueError(
            f"`paths` must match existing {suffix} files. Received: {text!r}, which matches none"
        )
    return files


def open_parquet(file: str) -> pq.ParquetFile:
    """Opens a Parquet file; raises `ValueError` with its name if it is damaged or truncated."""
    try:
        return pq.ParquetFile(file)
    except (pa.ArrowInvalid, OSError) as error:
        raise ValueError(
            f"{file!r} cannot be read as Parquet: it is empty, truncated or in another format. "
            f"Received: {os.path.getsize(file)} bytes. Arrow error: {error}"
        ) from error
