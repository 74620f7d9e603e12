"""A loaded bundle, run with ONNX Runtime."""

import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kranking._core import check_mapping
from kranking.export.bundle._interfaces import check_columns, check_graph, declared_features
from kranking.export.bundle._manifest import check_file
from kranking.export.bundle._tables_apart import TABLES_FILE, TablesApart
from kranking.export.formats._sessions import SessionSettings, keep_forever
from kranking.export.formats._weights_file import WEIGHTS_FILE
from kranking.export.functions._cases import random_rows
from kranking.export.functions._check_rows import check_rows
from kranking.export.functions._requests import Requests
from kranking.export.functions._served_function import IDS, RANK, SERVE, TOWER, USER
from kranking.export.functions._signature import Signature


class Bundle:
    """An exported model that runs on ONNX Runtime, as returned by `load_bundle`.

    Attributes:
        directory: Folder of the bundle.
        manifest: The contents of `manifest.json`.
        signature: Names, dtypes and shapes of the model inputs and the outputs.
        tables: The separate embedding tables, or `None` if they are in the graphs: see `split_tables`.

    A bundle can be pickled, as for another process, which loads the same folder. A forked process opens
    its sessions again with their first use.

    See `export_model` for an example.
    """

    def __init__(
        self, directory: Path, manifest: Mapping[str, Any], settings: SessionSettings | None = None
    ):
        self.directory = directory
        self.manifest = manifest
        self.signature = Signature.from_json(manifest["signature"])
        self._settings = settings or SessionSettings()
        split, files = TABLES_FILE in manifest["files"], manifest["files"]
        self.tables = TablesApart(directory, self._settings, files) if split else None
        self._declared = declared_features(directory, manifest)
        self._requests = Requests(self._declared)
        self._signatures = {
            name: Signature.from_json(of) for name, of in manifest["signatures"].items()
        }
        self._sessions: dict[str, Any] = {}
        self._process = os.getpid()
        self._weights = self._identity()
        self._sessions[IDS] = self._opened(IDS, manifest["signatures"][IDS]["onnx"])

    @property
    def session(self) -> Any:
        """The `onnxruntime.InferenceSession` that `predict` uses."""
        return self.open(IDS)

    def __reduce__(self) -> Any:
        if self._settings.options is not None:
            raise pickle.PicklingError(
                "A bundle with `session_options` cannot be pickled, because ONNX Runtime cannot pickle "
                "them. Load the bundle in the other process, or with `threads` and `providers`."
            )
        return _same_bundle, (self.directory, self.manifest, self._settings)

    def __repr__(self) -> str:
        tasks = [value.name for value in self.signature.outputs]
        return f"Bundle({str(self.directory)!r}, tasks {tasks}, {len(self._declared)} features)"

    def score(self, rows: Any) -> dict[str, np.ndarray]:
        """Computes the probabilities of each task, `(rows, 1)`, from raw columns encoded in the graph.

        Args:
            rows: Rows with all columns that the features read, of any kind that `features.fit` accepts.

        Raises:
            ValueError: If the bundle has no signature `serve`, or a column is missing or invalid.
        """
        return self.run(SERVE, self._requests.tensors(SERVE, rows))

    def rank(self, request: Any, items: Any) -> dict[str, np.ndarray]:
        """Computes the probabilities of each task, `(items, 1)`, for the candidates of one request.

        The fields of the user and the context are computed once.

        Args:
            request: One row with the columns of the user and the context, of any kind that
                `features.fit` accepts.
            items: The same of the candidates, one row each; there may be none. The time of the request, at
                which an `Age` of items is measured, is that of `request` if they do not have it.

        Raises:
            ValueError: If the bundle has no signature `rank`, or a column is missing or invalid.
        """
        return self.run(RANK, self._requests.rank_tensors(request, items))

    def user_tower(self, rows: Any) -> np.ndarray:
        """Computes the concatenated fields of users, `(rows, width)`, from their columns.

        Args:
            rows: Rows with all columns that features of the user read.

        Raises:
            ValueError: If the bundle has no signature `user_tower`, or a column is missing or invalid.
        """
        return self.run(TOWER, self._requests.tensors(TOWER, rows))[USER]

    def tensors(self, name: str, rows: Any) -> dict[str, np.ndarray]:
        """Returns the input tensors of a signature on rows, for use with another runtime.

        Args:
            name: `"serve"`, `"rank"` or `"user_tower"`. For `"rank"`, only the first row of the request
                columns is read.
            rows: Rows with all columns that its features read, of any kind that `features.fit` accepts.

        Raises:
            ValueError: If the features do not allow the signature, or a column is missing or invalid.
        """
        return self._taken(name, self._requests.tensors(name, rows))

    def run(self, name: str, tensors: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Runs a signature of the manifest on the given input tensors and returns its outputs.

        The graphs of signatures on columns impute NaN and infinity, as in training.

        Args:
            name: A signature that the manifest describes.
            tensors: Its inputs by name.

        Raises:
            ValueError: If the bundle has no such signature as ONNX, or an input is missing, unknown, or
                has a wrong dtype or shape.
        """
        check_mapping("tensors", tensors, "arrays by name")
        session = self.open(name)
        return self._answers(name, session, self._signatures[name], tensors)

    def _answers(
        self, name: str, session: Any, signature: Signature, tensors: Mapping[str, Any]
    ) -> dict[str, np.ndarray]:
        rows = check_rows(signature, tensors, finite=name == IDS)
        names = [value.name for value in signature.outputs]
        if not all(map(len, rows.values())):  # ONNX Runtime sums over zero rows to another shape
            return {v.name: np.zeros((0, *v.shape), v.dtype) for v in signature.outputs}
        return dict(zip(names, session.run(names, self._taken(name, rows)), strict=True))

    def _taken(self, name: str, tensors: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Returns the inputs of the graph of a signature, with table rows if the tables are separate."""
        if self.tables is None:
            return dict(tensors)
        self._own()
        return self.tables.inputs(name, tensors)

    def open(self, name: str) -> Any:
        """Returns the `onnxruntime.InferenceSession` of a signature, which is created once.

        Args:
            name: A signature that the manifest describes.

        Raises:
            ValueError: If the bundle has no such signature as ONNX, or its files have changed.
        """
        described = self.manifest.get("signatures", {})
        if "onnx" not in described.get(name, {}):
            known = sorted(known for known in described if "onnx" in described[known])
            raise ValueError(
                f"`name` must be a signature that the bundle has as ONNX, {known}. Received: name={name!r}"
            )
        self._own()
        if name not in self._sessions:
            files, file = self.manifest["files"], described[name]["onnx"]
            check_columns(self.directory, name, self.manifest, self._declared)
            # The bundle may have been replaced by another one, before or while the session is opened.
            session = self._opened(name, file)
            check_file(self.directory, file, files[file])
            if self._identity() != self._weights:
                check_file(self.directory, WEIGHTS_FILE, files[WEIGHTS_FILE])
            self._sessions[name] = session
        return self._sessions[name]

    def _opened(self, name: str, file: str) -> Any:
        session = self._settings.open(self.directory / file)
        if self.tables is None:
            check_graph(self.directory / file, name, self.manifest, session)
        return session

    def _own(self) -> None:
        """Drops the sessions of a process that was forked: their threads do not exist in this one."""
        if os.getpid() == self._process:
            return
        if not self._settings.survive_a_fork:
            for session in self._sessions.values():
                keep_forever(session)
            self._sessions = {}
            if self.tables is not None:
                self.tables.reopen()
        self._process = os.getpid()

    def _identity(self) -> tuple[int, ...] | None:
        """Identifies the file of shared weights without reading it; `None` if the bundle has none."""
        if WEIGHTS_FILE not in self.manifest["files"]:
            return None
        try:
            found = (self.directory / WEIGHTS_FILE).stat()
        except FileNotFoundError:
            return ()
        return found.st_ino, found.st_size, found.st_mtime_ns

    def predict(self, inputs: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Computes the probabilities of each task, float32 of shape `(batch, 1)`.

        Args:
            inputs: All model inputs by name, as returned by `features.Preprocessor`: int32 or float32
                arrays whose first axis is the batch.

        Raises:
            ValueError: If an input is missing, unknown, not finite, or has a wrong dtype or shape.
        """
        return self._answers(IDS, self.open(IDS), self.signature, inputs)

    def random_inputs(self, rows: int, seed: int = 0) -> dict[str, np.ndarray]:
        """Returns random inputs for `predict`, for measurements."""
        return random_rows(self.signature, rows, seed)

    def features(self) -> list[Any]:
        """Returns the fitted features of the model, for a `features.Preprocessor`."""
        return list(self._declared)


def _same_bundle(directory: Path, manifest: Mapping[str, Any], settings: SessionSettings) -> Bundle:
    """Loads the bundle that was pickled; raises `ValueError` if another one is in its folder."""
    from kranking.export.bundle._load_bundle import load_with

    bundle = load_with(directory, settings)
    if bundle.manifest != manifest:
        raise ValueError(
            f"{directory} must still contain the bundle that was pickled. Received: another bundle"
        )
    return bundle
