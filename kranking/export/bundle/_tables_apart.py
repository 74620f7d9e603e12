"""Reading a bundle whose embedding tables lie beside its graphs."""

import json
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kranking.export._rows import Rows
from kranking.export.bundle._manifest import file_within
from kranking.export.formats._interface import onnx_signature, read_onnx
from kranking.export.formats._onnx import open_session, run_onnx
from kranking.export.functions._served_function import ONNX_FILES
from kranking.export.functions._signature import Signature

TABLES_FILE = "tables.json"
FORMAT_VERSION = 1


class TablesApart:
    """The tables of a bundle that `split_tables` wrote, and how a request's rows are found in them.

    All of them are opened at once: a bundle that is put in this one's place later changes no answer.

    Args:
        folder: The bundle.
        threads: Threads of ONNX Runtime, which computes which rows are needed.
        files: The bundle's files as its manifest lists them, if it has one yet.

    Raises: `ValueError` for another format, or a file that is not the bundle's.
    """

    def __init__(
        self, folder: Path, threads: int | None = None, files: Collection[str] | None = None
    ):
        self._split = read_split(folder)
        used = {one["indices"] for one in self._split.values()}
        used |= {one["table"] for split in self._split.values() for one in split["lookups"]}
        unknown = sorted(used - set(used if files is None else files))
        if unknown:
            raise ValueError(
                f"{folder / TABLES_FILE} should name files that the bundle's manifest lists. "
                f"Received: {unknown}"
            )
        paths = {name: file_within(folder, name) for name in sorted(used)}
        self._sessions = {
            name: open_session(paths[split["indices"]], threads)
            for name, split in self._split.items()
        }
        # Mapped: of a table of many GiB, memory holds the pages that requests have touched.
        self._tables = {
            name: np.load(path, mmap_mode="r", allow_pickle=False)
            for name, path in paths.items()
            if path.suffix == ".npy"
        }

    def inputs(self, name: str, tensors: Mapping[str, Any]) -> Rows:
        """Gives what the graph of a signature takes: the rows of its tables, and tensors that it reads.

        Args:
            name: The signature.
            tensors: What the signature takes.
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
    """Reads by signature what lies apart; nothing where no table does."""
    path = folder / TABLES_FILE
    if not path.exists():
        return {}
    read = json.loads(path.read_text("utf-8"))
    if not isinstance(read, dict) or read.get("format_version") != FORMAT_VERSION:
        raise ValueError(
            f"{path} should be of format version {FORMAT_VERSION}, as `split_tables` writes it. "
            f"Received: {str(read)[:100]}"
        )
    return read["signatures"]


def read_interface(folder: Path, name: str, model: Any) -> Signature:
    """Gives what a signature takes and gives by its own graph, or by both graphs where tables lie apart."""
    whole = onnx_signature(model)
    split = read_split(folder)
    if name not in split:
        return whole
    rows = {one["rows"] for one in split[name]["lookups"]}
    asked = onnx_signature(read_onnx(file_within(folder, split[name]["indices"])))
    inputs = {v.name: v for v in (*asked.inputs, *whole.inputs) if v.name not in rows}
    return Signature(tuple(inputs.values()), whole.outputs)


def run_signature(folder: Path, name: str) -> Callable[[Rows], Rows]:
    """Loads a signature's file, with its tables, and gives a function from rows to answers."""
    run = run_onnx(file_within(folder, ONNX_FILES[name]))
    if name not in read_split(folder):
        return run
    tables = TablesApart(folder)
    return lambda rows: run(tables.inputs(name, rows))


def plain(column: np.ndarray) -> np.ndarray:
    """Gives a column as ONNX Runtime takes it: strings are objects there."""
    return column.astype(object) if column.dtype.kind == "U" else column
