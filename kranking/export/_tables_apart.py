"""Reading a bundle whose embedding tables lie beside its graphs."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kranking.export._check_rows import Rows
from kranking.export._interface import onnx_signature, read_onnx
from kranking.export._manifest import file_within
from kranking.export._onnx import open_session, run_onnx
from kranking.export._served import ONNX_FILES
from kranking.export._signature import Signature

TABLES_FILE = "tables.json"


class TablesApart:
    """The tables of a bundle that `split_tables` wrote, and how a request's rows are found in them.

    Args:
        folder: The bundle.
        threads: Threads of ONNX Runtime, which computes the rows that are wanted.
    """

    def __init__(self, folder: Path, threads: int | None = None):
        self._folder, self._threads = folder, threads
        self._split = json.loads((folder / TABLES_FILE).read_text("utf-8"))["signatures"]
        self._sessions: dict[str, Any] = {}
        self._tables: dict[str, np.ndarray] = {}

    def inputs(self, name: str, tensors: Mapping[str, Any]) -> Rows:
        """Gives what the graph of a signature takes: the rows of its tables, and tensors that it reads.

        Args:
            name: The signature.
            tensors: What the signature takes.
        """
        if name not in self._split:
            return dict(tensors)
        described = self._split[name]
        if name not in self._sessions:
            path = file_within(self._folder, described["indices"])
            self._sessions[name] = open_session(path, self._threads)
        session = self._sessions[name]
        given = {v.name: plain(tensors[v.name]) for v in session.get_inputs()}
        indices = session.run([one["indices"] for one in described["lookups"]], given)
        rows = {n: x for n, x in tensors.items() if n in described["inputs"]}
        for one, found in zip(described["lookups"], indices, strict=True):
            rows[one["rows"]] = self._table(one["table"])[found]
        return rows

    def _table(self, name: str) -> np.ndarray:
        if name not in self._tables:
            path = file_within(self._folder, name)
            # Mapped: of a table of many GiB, memory holds the pages that requests have touched.
            self._tables[name] = np.load(path, mmap_mode="r", allow_pickle=False)
        return self._tables[name]


def open_tables(folder: Path, threads: int | None = None) -> TablesApart | None:
    """Gives the tables of a bundle that has them apart, else nothing."""
    return TablesApart(folder, threads) if (folder / TABLES_FILE).exists() else None


def read_interface(folder: Path, name: str) -> Signature:
    """Reads what a signature takes and gives off its file, or off both files where tables lie apart."""
    whole = onnx_signature(read_onnx(file_within(folder, ONNX_FILES[name])))
    if not (folder / TABLES_FILE).exists():
        return whole
    split = json.loads((folder / TABLES_FILE).read_text("utf-8"))["signatures"]
    if name not in split:
        return whole
    rows = {one["rows"] for one in split[name]["lookups"]}
    asked = onnx_signature(read_onnx(file_within(folder, split[name]["indices"])))
    inputs = {v.name: v for v in (*asked.inputs, *whole.inputs) if v.name not in rows}
    return Signature(tuple(inputs.values()), whole.outputs)


def run_signature(folder: Path, name: str) -> Callable[[Rows], Rows]:
    """Loads a signature's file, with its tables, and gives a function from rows to answers."""
    run, tables = run_onnx(file_within(folder, ONNX_FILES[name])), open_tables(folder)
    return run if tables is None else lambda rows: run(tables.inputs(name, rows))


def plain(column: np.ndarray) -> np.ndarray:
    """Gives a column as ONNX Runtime takes it: strings are objects there."""
    return column.astype(object) if column.dtype.kind == "U" else column
