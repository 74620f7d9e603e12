"""Splitting of a bundle so that clients look up rows of its embedding tables."""

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kranking._core import check_positive_int
from kranking._paths import as_path
from kranking.export._finding import Finding, refuse_failed
from kranking.export.bundle._load_bundle import load_bundle
from kranking.export.bundle._manifest import (
    FEATURES_FILE,
    check_files,
    describe_files,
    versions,
    write_manifest,
)
from kranking.export.bundle._publish import check_beside, check_replaceable, publish
from kranking.export.bundle._tables_apart import FORMAT_VERSION, TABLES_FILE, plain
from kranking.export.checks._check_artefacts import check_onnx
from kranking.export.checks._describe import describe_check
from kranking.export.checks._expected_answers import ExpectedAnswers, expected_answers
from kranking.export.checks._tolerances import read_tolerances, with_tolerances
from kranking.export.formats._external_data import unlinked_weights
from kranking.export.formats._keras_file import KERAS_FILE, load_keras
from kranking.export.formats._onnx import save
from kranking.export.formats._sessions import open_session
from kranking.export.formats._weights_file import WEIGHTS_FILE, WeightsFile
from kranking.export.functions._served_function import IDS, ONNX_FILES, functions_of
from kranking.export.rewrites._split_graph import Lookup, indices_of, lookups, rest_of, unique_names

_CHECK_ROWS = 64


@dataclass(frozen=True)
class Split:
    """The result of `split_tables`.

    Attributes:
        directory: Folder of the new bundle.
        tables: Shapes of the tables, by file.
        files: Bytes before and after, by ONNX file and for the shared file of weights.

    >>> print(Split(Path("apart"), {"tables/0.npy": (1000, 16)}, {"model.onnx": (70_000, 6_000)}))
    apart: 1 separate tables
      tables/0.npy  1,000 × 16
      model.onnx  70,000 bytes before, 6,000 after
    """

    directory: Path
    tables: Mapping[str, tuple[int, ...]]
    files: Mapping[str, tuple[int, int]]

    def __str__(self) -> str:
        lines = [f"{self.directory}: {len(self.tables)} separate tables"]
        for name, shape in self.tables.items():
            lines.append(f"  {name}  {' × '.join(f'{size:,}' for size in shape)}")
        for name, (before, after) in self.files.items():
            lines.append(f"  {name}  {before:,} bytes before, {after:,} after")
        return "\n".join(lines)


def split_tables(
    source: str | Path,
    directory: str | Path,
    *,
    min_bytes: int = 2**20,
    modules: Sequence[str] = (),
) -> Split:
    """Writes a copy of a bundle with its embedding tables moved from the graphs to NumPy files.

    Running a signature then takes three steps: `NAME.indices.onnx` computes the row indices, the client
    looks up the rows, and the ONNX file of the signature computes the outputs from them and its other
    inputs. `Bundle` does all three, with memory-mapped tables. `tables.json` describes which files, inputs
    and tables belong together, for clients with their own store of rows. Small tables, dense weights, and
    tables whose indices depend on rows of another table stay in the graphs.

    The new bundle is loaded, verified and used for scoring like any other. Its Triton model has the rows
    as inputs, which `Bundle.tensors` returns. A SavedModel is not copied.

    Args:
        source: Folder of a bundle with the format `"onnx"`, which is not changed.
        directory: Folder of the new bundle: new, empty, or with an earlier bundle and no other files.
        min_bytes: Smallest size of a table to split off.
        modules: Modules that register custom layers of the model.

    Raises:
        ValueError: If an argument is invalid, the source is no such bundle, or no table is large enough.
        ExportError: If an output differs from that of the model. Nothing is written.

    >>> split_tables("nowhere", "apart")
    Traceback (most recent call last):
      ...
    ValueError: `directory` must contain a bundle with a manifest.json. Received: directory='nowhere'
    """
    check_positive_int("min_bytes", min_bytes)
    before, directory = load_bundle(source), as_path("directory", directory).resolve()
    if TABLES_FILE in before.manifest["files"]:
        raise ValueError(
            "`source` must be a bundle with its tables in the graphs. Received: "
            f"source={str(source)!r}, which has separate tables already"
        )
    check_beside(directory, before.directory)
    check_replaceable(directory)
    manifest = before.manifest
    model = load_keras(before.directory, modules)
    functions = functions_of(model, [name for name in manifest["signatures"] if name != IDS])
    expectations = expected_answers(model, functions, _CHECK_ROWS, manifest["check"]["seed"])
    if "weights" in manifest:
        expectations = with_tolerances(expectations, read_tolerances(manifest))
    with publish(directory) as folder:
        for name in (KERAS_FILE, FEATURES_FILE):
            shutil.copyfile(before.directory / name, folder / name)
        with unlinked_weights(before.directory) as real:
            writer = _Writer(before.directory, real, folder, min_bytes)
            for name, expected in expectations.items():
                writer.write(name, expected)
        writer.finish()
        found: list[Finding] = []
        for name, expected in expectations.items():
            found += check_onnx(folder, name, manifest["opset"], expected)
        refuse_failed(found)
        check_files(before.directory, manifest)  # raises if it was replaced meanwhile
        check = describe_check(expectations[IDS], manifest["check"]["seed"], found)
        check["tolerance"] = manifest["check"]["tolerance"]
        new = {
            "formats": ["onnx"],
            "versions": versions(manifest["backend"]),
            "check": check,
            "files": describe_files(folder),
        }
        write_manifest(folder, {**manifest, **new})
    return Split(directory, writer.tables, writer.sizes)


class _Writer:
    """Writes the files of one signature after another, and each distinct table once."""

    def __init__(self, source: Path, real: Path, folder: Path, least: int):
        self.source, self.real, self.folder, self.least = source, real, folder, least
        self.tables: dict[str, tuple[int, ...]] = {}
        self.sizes: dict[str, tuple[int, int]] = {}
        self.weights = WeightsFile(folder)
        self._files: dict[bytes, str] = {}
        self._split: dict[str, Any] = {}

    def write(self, name: str, expected: ExpectedAnswers) -> None:
        """Writes the files of a signature; the shapes of the indices are measured on the check rows."""
        import onnx

        old, new = self.source / ONNX_FILES[name], self.folder / ONNX_FILES[name]
        model = onnx.load(str(old), load_external_data=False)  # tables are loaded one at a time
        cuts = unique_names(model.graph, lookups(model.graph, self.least))
        while cuts:
            path = self.folder / f"{name}.indices.onnx"
            asked = indices_of(model, {f"{key}_indices": cut.indices for key, cut in cuts.items()})
            self._save(asked, path)
            shapes = _shapes(path, list(cuts), expected)
            if shapes.keys() == cuts.keys():
                model = self._cut(name, model, asked, cuts, shapes)
                break
            cuts = {
                key: cuts[key] for key in shapes
            }  # the size of other lookups does not follow the batch
            path.unlink()
        self._save(model, new)
        self.sizes[new.name] = (old.stat().st_size, new.stat().st_size)

    def _save(self, model: Any, path: Path) -> None:
        if (self.source / WEIGHTS_FILE).exists():
            self.weights.take_from(model.graph, self.real)
        save(model, path)

    def _cut(
        self, name: str, model: Any, asked: Any, cuts: Mapping[str, Lookup], shapes: Mapping
    ) -> Any:
        """Returns the graph after the lookups and records the steps to compute its inputs."""
        from onnx import helper, numpy_helper

        constants = {c.name: c for c in model.graph.initializer}
        given, steps = {}, []
        for key, cut in cuts.items():
            table = numpy_helper.to_array(constants[cut.table], str(self.real))
            kind = helper.np_dtype_to_tensor_dtype(table.dtype)
            shape = [*shapes[key], *table.shape[1:]]
            given[cut.rows] = helper.make_tensor_value_info(f"{key}_rows", kind, shape)
            step = {"indices": f"{key}_indices", "table": self._file(table), "rows": f"{key}_rows"}
            steps.append(step)
        rest = rest_of(model, asked, given)
        rows = {step["rows"] for step in steps}
        self._split[name] = {
            "indices": f"{name}.indices.onnx",
            "inputs": [value.name for value in rest.graph.input if value.name not in rows],
            "lookups": steps,
        }
        return rest

    def finish(self) -> None:
        """Writes `tables.json`; raises `ValueError` if no table was split off."""
        if not self._split:
            raise ValueError(
                f"`source` must have an embedding table of at least {self.least:,} bytes in its graphs. "
                "Received: no such table. Use a smaller `min_bytes`."
            )
        described = {"format_version": FORMAT_VERSION, "signatures": self._split}
        (self.folder / TABLES_FILE).write_text(json.dumps(described, indent=1) + "\n", "utf-8")
        if (self.source / WEIGHTS_FILE).exists():
            paths = (self.source / WEIGHTS_FILE, self.folder / WEIGHTS_FILE)
            before, after = (path.stat().st_size if path.exists() else 0 for path in paths)
            self.sizes[WEIGHTS_FILE] = (before, after)

    def _file(self, table: np.ndarray) -> str:
        # Tables of zeros with different shapes are different tables.
        kind = f"{table.dtype} {table.shape} ".encode()
        digest = hashlib.sha256(kind)
        digest.update(np.ascontiguousarray(table).reshape(-1).view(np.uint8).data)
        key = digest.digest()
        if key not in self._files:
            name = self._files[key] = f"tables/{len(self._files)}.npy"
            (self.folder / "tables").mkdir(exist_ok=True)
            np.save(self.folder / name, table, allow_pickle=False)
            self.tables[name] = table.shape
        return self._files[key]


def _shapes(path: Path, keys: Sequence[str], expected: ExpectedAnswers) -> dict[str, list[Any]]:
    """Returns the shapes of the indices, for lookups whose first axis is the batch axis or 1."""
    counted = next(value for value in expected.signature.inputs if value.rows is None)
    sizes = {len(case.rows[counted.name]): case.rows for case in expected.cases}
    first, second = [size for size in sizes if size > 1][:2]
    session, found = open_session(path), []
    for rows in (sizes[first], sizes[second]):
        given = {value.name: plain(rows[value.name]) for value in session.get_inputs()}
        found.append(session.run([f"{key}_indices" for key in keys], given))
    axes: dict[Any, Any] = {(first, second): counted.axis, (1, 1): 1}
    shapes = {}
    for key, *pair in zip(keys, *found, strict=True):
        lengths = tuple(x.shape[0] if x.ndim else 0 for x in pair)
        if lengths in axes and pair[0].shape[1:] == pair[1].shape[1:]:
            shapes[key] = [axes[lengths], *pair[0].shape[1:]]
    return shapes
