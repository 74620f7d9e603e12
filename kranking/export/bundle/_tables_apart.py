"""Reading bundles whose embedding tables are separate files."""

import json
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kranking.export._rows import Rows
from kranking.export.bundle._sections import wrong_section
from kranking.export.formats._interface import onnx_signature, read_onnx
from kranking.export.formats._onnx import run_onnx
from kranking.export.formats._sessions import SessionSettings, keep_forever
from kranking.export.functions._served_function import ONNX_FILES
from kranking.export.functions._signature import Signature

TABLES_FILE = "tables.json"
FORMAT_VERSION = 1


class TablesApart:
    """The separate tables of a bundle written by `split_tables`, and the lookup of their rows.

    All tables are opened at the start, so that replacing the bundle later does not change results.

    Args:
        folder: Folder of the bundle.
        settings: Settings of ONNX Runtime, which computes the row indices.
        files: Files listed in the manifest of the bundle; `None` if it has no manifest yet.

    Raises:
        ValueError: If `tables.json` has an unknown format, or names a file that is not listed.
    """

    def __init__(
        self,
        folder: Path,
        settings: SessionSettings | None = None,
        files: Collection[str] | None = None,
    ):
        self._folder, self._settings = folder, settings or SessionSettings()
        self._split = read_split(folder)
        used = {one["indices"] for one in self._split.values()}
        used |= {one["table"] for split in self._split.values() for one in split["lookups"]}
        unknown = sorted(used - set(used if files is None else files))
        if unknown:
            raise ValueError(
                f"{folder / TABLES_FILE} must only name files that the manifest of the bundle lists. "
                f"Received: {unknown}"
            )
        paths = {name: folder / name for name in sorted(used)}
        self._open()
        # Memory-mapped: only the pages that requests read are in memory, even if tables have many GiB.
        self._tables = {
            name: np.load(path, mmap_mode="r", allow_pickle=False)
            for name, path in paths.items()
            if path.suffix == ".npy"
        }

    def _open(self) -> None:
        self._sessions = {
            name: self._settings.open(self._folder / split["indices"])
            for name, split in self._split.items()
        }

    def reopen(self) -> None:
        """Opens the sessions again, in a process that inherited them."""
        for session in self._sessions.values():
            keep_forever(session)
        self._open()

    def inputs(self, name: str, tensors: Mapping[str, Any]) -> Rows:
        """Returns the inputs of the graph of a signature: rows of its tables, and the tensors it reads.

        Args:
            name: Name of the signature.
            tensors: Inputs of the signature.
        """
        if name not in self._split:
            return dict(tensors)
        described, session = self._split[name], self._sessions[name]
        given = {v.name: plain(tensors[v.name]) for v in session.get_inputs()}
        indices = session.run([one["indices"] for one in described["lookups"]], given)
        rows = {n: x for n, x in tensors.items() if n in described["inputs"]}
        for one, found in zip(described["lookups"], indices, strict=True):
            rows[one["rows"]] = self._tables[one["table"]][found]
        return rows


def read_split(folder: Path) -> dict[str, Any]:
    """Reads `tables.json` and returns the lookups by signature; empty if there are no separate tables."""
    path = folder / TABLES_FILE
    if not path.exists():
        return {}
    try:
        read = json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} must be complete JSON. Received: {error}") from error
    if not isinstance(read, dict) or read.get("format_version") != FORMAT_VERSION:
        raise ValueError(
            f"{path} must have format version {FORMAT_VERSION}, as written by `split_tables`. "
            f"Received: {str(read)[:100]}"
        )
    split = read.get("signatures")
    if not isinstance(split, dict) or not all(map(_is_split, split.values())):
        parts = "have `indices`, `inputs` and `lookups` by name"
        raise wrong_section(path, "signatures", parts, split)
    return split


def _is_split(value: Any) -> bool:
    if not isinstance(value, dict) or not isinstance(value.get("indices"), str):
        return False
    inputs, lookups = value.get("inputs"), value.get("lookups")
    return (
        isinstance(inputs, list)
        and all(isinstance(name, str) for name in inputs)
        and isinstance(lookups, list)
        and all(
            isinstance(one, dict)
            and all(isinstance(one.get(key), str) for key in ("indices", "table", "rows"))
            for one in lookups
        )
    )


def read_interface(folder: Path, name: str, model: Any) -> Signature:
    """Returns the inputs and outputs of the graph of a signature, or of both graphs if it is split."""
    whole = onnx_signature(model)
    split = read_split(folder)
    if name not in split:
        return whole
    rows = {one["rows"] for one in split[name]["lookups"]}
    asked = onnx_signature(read_onnx(folder / split[name]["indices"]))
    inputs = {v.name: v for v in (*asked.inputs, *whole.inputs) if v.name not in rows}
    return Signature(tuple(inputs.values()), whole.outputs)


def run_signature(folder: Path, name: str) -> Callable[[Rows], Rows]:
    """Loads the ONNX file of a signature, with its tables, and returns a function from rows to outputs."""
    run = run_onnx(folder / ONNX_FILES[name])
    if name not in read_split(folder):
        return run
    tables = TablesApart(folder)
    return lambda rows: run(tables.inputs(name, rows))


def plain(column: np.ndarray) -> np.ndarray:
    """Returns a column in the form that ONNX Runtime requires, in which strings are objects."""
    return column.astype(object) if column.dtype.kind == "U" else column
