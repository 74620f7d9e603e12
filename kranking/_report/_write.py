"""Writing the files of a report."""

import os
from collections.abc import Mapping
from typing import Any

from kranking._files import write_json, write_text
from kranking._paths import as_path, make_folder


def write_files(folder: str | os.PathLike, files: Mapping[str, Any]) -> None:
    """Writes files into a folder, each atomically.

    Args:
        folder: The folder, created if it does not exist.
        files: Contents by file name: a string is written as text, any other value as JSON.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_files(folder, {"report.md": "# AUC", "result.json": {"auc": 0.7}})
    ...     sorted(path.name for path in pathlib.Path(folder).iterdir())
    ['report.md', 'result.json']
    """
    folder = as_path("folder", folder)
    make_folder(folder)
    for name, content in files.items():
        if isinstance(content, str):
            write_text(folder / name, content)
        else:
            write_json(folder / name, content, ensure_ascii=False)


def write_report(report: Any, folder: str | os.PathLike, name: str) -> None:
    """Writes a report as `name.md`, `name.html` and `name.json`."""
    contents = report.to_markdown(), report.to_html(), report.to_json()
    endings = (f"{name}.{ending}" for ending in ("md", "html", "json"))
    write_files(folder, dict(zip(endings, contents)))
