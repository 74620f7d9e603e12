"""A bundle on disk, checked and answering."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kranking.export.bundle._manifest import check_file, check_files, read_manifest
from kranking.export.bundle._tables_apart import TABLES_FILE, TablesApart
from kranking.export.formats._onnx import ONNX_FILE, open_session
from kranking.export.formats._weights_file import WEIGHTS_FILE
from kranking.export.functions._cases import random_rows
from kranking.export.functions._check_rows import check_rows
from kranking.export.functions._requests import request_tensors
from kranking.export.functions._served_function import IDS, RANK, SERVE, TOWER, USER, rank_parts
from kranking.export.functions._signature import Signature

FEATURES_FILE = "features.json"


class Bundle:
    """An exported model, answering through ONNX Runtime; `load_bundle` makes one.

    Attributes:
        directory: Where the bundle lies.
        manifest: The content of `manifest.json`.
        signature: Names, dtypes and shapes of inputs and outputs.
        session: The `onnxruntime.InferenceSession` behind `predict`.
        tables: Embedding tables that lie beside the graphs, or `None`: see `split_tables`.

    `export_model` shows an example.
    """

    def __init__(
        self, directory: Path, manifest: Mapping[str, Any], session: Any, threads: int | None = None
    ):
        self.directory = directory
        self.manifest = manifest
        self.signature = Signature.from_json(manifest["signature"])
        self.session = session
        self.threads = threads
        split, files = TABLES_FILE in manifest["files"], manifest["files"]
        self.tables = TablesApart(directory, threads, files) if split else None
        self._declared = self.features()
        self._sessions: dict[str, Any] = {IDS: session}
        self._weights = self._identity()

    def score(self, columns: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Gives each task's probabilities, `(rows, 1)`, of a log's columns, encoded inside the graph.

        Args:
            columns: Every column that the features read: NumPy, Arrow or lists.
        """
        return self.run(SERVE, request_tensors(self._declared, SERVE, columns))

    def rank(self, request: Mapping[str, Any], items: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Gives each task's probabilities, `(items, 1)`, for one request; its side is computed once.

        Args:
            request: Columns of the user and the context, one row.
            items: Columns of the candidates.
        """
        once, each = (part.columns for part in rank_parts(self._declared))
        return self.run(RANK, {**once(request), **each(items)})

    def user_tower(self, columns: Mapping[str, Any]) -> np.ndarray:
        """Gives the users' fields side by side, `(rows, width)`, from their columns."""
        return self.run(TOWER, request_tensors(self._declared, TOWER, columns))[USER]

    def tensors(self, name: str, columns: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Gives what a signature on columns takes, for a runtime that is not this one.

        Args:
            name: `"serve"`, `"rank"` or `"user_tower"`; `rank` reads the first row of a request's columns.
            columns: Every column that its features read: NumPy, Arrow or lists.
        """
        return self._taken(name, request_tensors(self._declared, name, columns))

    def run(self, name: str, tensors: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Answers a signature of the manifest, from the tensors that it describes.

        On columns, numbers that are not finite are imputed inside the graph, as training learnt.
        """
        session = self.open(name)
        signature = Signature.from_json(self.manifest["signatures"][name])
        return self._answers(name, session, signature, tensors)

    def _answers(
        self, name: str, session: Any, signature: Signature, tensors: Mapping[str, Any]
    ) -> dict[str, np.ndarray]:
        rows = check_rows(signature, tensors, finite=name == IDS)
        names = [value.name for value in signature.outputs]
        if not all(map(len, rows.values())):  # ONNX Runtime's sums over no rows have another shape
            return {v.name: np.zeros((0, *v.shape), v.dtype) for v in signature.outputs}
        return dict(zip(names, session.run(names, self._taken(name, rows)), strict=True))

    def _taken(self, name: str, tensors: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Gives what a signature's graph takes: rows of its tables too, where they lie apart."""
        return dict(tensors) if self.tables is None else self.tables.inputs(name, tensors)

    def open(self, name: str) -> Any:
        """Gives the `onnxruntime.InferenceSession` of a signature of the manifest, opened once."""
        described = self.manifest.get("signatures", {})
        if "onnx" not in described.get(name, {}):
            known = sorted(known for known in described if "onnx" in described[known])
            raise ValueError(
                f"The bundle should have the signature as ONNX; it has {known}. Received: {name!r}"
            )
        if name not in self._sessions:
            files, file = self.manifest["files"], described[name]["onnx"]
            # Another bundle may have taken this one's place.
            check_file(self.directory, file, files[file])
            if self._identity() != self._weights:
                check_file(self.directory, WEIGHTS_FILE, files[WEIGHTS_FILE])
            self._sessions[name] = open_session(self.directory / file, self.threads)
        return self._sessions[name]

    def _identity(self) -> tuple[int, ...] | None:
        """Says which file the shared weights are in, without reading it, if the bundle has one."""
        if WEIGHTS_FILE not in self.manifest["files"]:
            return None
        try:
            found = (self.directory / WEIGHTS_FILE).stat()
        except FileNotFoundError:
            return ()
        return found.st_ino, found.st_size, found.st_mtime_ns

    def predict(self, inputs: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Gives each task's probabilities, float32 of shape `(batch, 1)`.

        Args:
            inputs: Every model input by name, as `features.Preprocessor` makes them: int32 or
                float32 arrays with the batch axis first.

        Raises:
            ValueError: An input is missing, unknown, of another dtype or shape, or not finite.
        """
        return self._answers(IDS, self.session, self.signature, inputs)

    def random_inputs(self, rows: int, seed: int = 0) -> dict[str, np.ndarray]:
        """Gives inputs for `predict` made by seed, on which to measure."""
        return random_rows(self.signature, rows, seed)

    def features(self) -> list[Any]:
        """Gives the fitted declarations that the model was made of, for a `features.Preprocessor`."""
        from kranking.features import from_json

        return from_json((self.directory / FEATURES_FILE).read_text("utf-8"))


def load_bundle(
    directory: str | Path, features: Iterable[Any] | None = None, *, threads: int | None = None
) -> Bundle:
    """Loads an exported model after checking every file of it against the manifest.

    Args:
        directory: What `export_model` wrote, with `"onnx"` among its formats.
        features: The caller's declarations; a bundle of others is refused.
        threads: Threads of ONNX Runtime; `None` leaves the choice to it.

    Raises:
        ValueError: No manifest or one of another format, a file that is missing, truncated or
            changed, or declarations that are not the bundle's.

    >>> load_bundle("nowhere")
    Traceback (most recent call last):
      ...
    ValueError: `directory` should hold a bundle with a manifest.json. Received: directory='nowhere'
    """
    directory = Path(directory)
    manifest = read_manifest(directory)
    check_files(directory, manifest)
    if features is not None:
        _check_features(directory, manifest, features)
    if ONNX_FILE not in manifest["files"]:
        raise ValueError(
            f"`directory` should hold a bundle exported with the format 'onnx'. "
            f"Received: formats={manifest['formats']}"
        )
    path = directory / ONNX_FILE
    try:
        session = open_session(path, threads)
    except Exception as error:  # ONNX Runtime's own errors have no common public class
        raise ValueError(
            f"{path} could not be loaded by ONNX Runtime; it was written for opset "
            f"{manifest['opset']} and checked with ONNX Runtime {manifest['versions']['onnxruntime']}. "
            f"Received: {error}"
        ) from error
    return Bundle(directory, manifest, session, threads)


def _check_features(directory: Path, manifest: Mapping[str, Any], features: Iterable[Any]) -> None:
    from kranking.features import schema_hash

    expected, received = manifest["schema_hash"], schema_hash(features)
    if received != expected:
        raise ValueError(
            f"`features` should be the declarations that the bundle {str(directory)!r} was made with: "
            f"their hash should be {expected}. Received: {received}"
        )
