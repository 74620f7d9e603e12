"""The identity of the files of a log: what they contain, whatever their size and time."""

import os
from collections.abc import Sequence
from typing import Any

from kranking._rows._files import PARQUET, find_log_files, sha256_of


def file_contents(paths: Any, suffixes: Sequence[str] = PARQUET) -> list[dict[str, Any]]:
    """Returns name, size, SHA-256 and values of folder names of each file of a log.

    Every byte is read, once per call: sizes and times of modification miss files that were replaced
    (ADR 22).

    Args:
        paths: Paths, folders, globs or URLs.
        suffixes: Suffixes of the files that are looked for in folders.
    """
    from concurrent.futures import ThreadPoolExecutor

    files = find_log_files(paths, suffixes)
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        digests = list(pool.map(sha256_of, files))
    return [
        {
            "name": os.path.basename(file.path),
            "bytes": file.filesystem.get_file_info(file.path).size,
            "sha256": digest,
            **({"keys": dict(file.keys)} if file.keys else {}),
        }
        for file, digest in zip(files, digests, strict=True)
    ]
