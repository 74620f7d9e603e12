"""Compression of a bundle to low-precision weights, with a limit on the loss of quality."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kranking._core import check_choice, check_number, check_positive_int
from kranking._paths import as_path
from kranking._rows import first_rows
from kranking.data import read
from kranking.export._error import ExportError
from kranking.export._finding import Finding, refuse_failed
from kranking.export.bundle._bundle import Bundle
from kranking.export.bundle._load_bundle import load_bundle
from kranking.export.bundle._log import open_log
from kranking.export.bundle._manifest import (
    FEATURES_FILE,
    check_files,
    describe_files,
    versions,
    write_manifest,
)
from kranking.export.bundle._publish import check_beside, check_replaceable, publish
from kranking.export.checks._check_artefacts import check_onnx
from kranking.export.checks._describe import describe_check
from kranking.export.checks._expected_answers import ExpectedAnswers, expected_answers
from kranking.export.checks._tolerances import (
    CEILING,
    differences_of,
    tolerances_of,
    with_tolerances,
)
from kranking.export.derived._compression import Compression
from kranking.export.formats._external_data import unlinked_weights
from kranking.export.formats._keras_file import KERAS_FILE, load_keras
from kranking.export.formats._onnx import save
from kranking.export.formats._weights_file import WEIGHTS_FILE, WeightsFile
from kranking.export.functions._served_function import IDS, ONNX_FILES, functions_of
from kranking.export.rewrites._small_weights import WEIGHTS, with_small_weights
from kranking.metrics import auc, normalized_entropy

_ROWS = 4096  # per forward pass
_CHECK_ROWS = 1000  # random rows, and as many rows of the log


def compress_bundle(
    source: str | Path,
    directory: str | Path,
    log: Any,
    weights: str = "int8",
    *,
    max_auc_loss: float = 1e-3,
    max_ne_rise: float = 1e-3,
    num_rows: int = 100_000,
    sample_weight: str | None = None,
    modules: Sequence[str] = (),
) -> Compression:
    """Writes a copy of a bundle with low-precision weights, if the loss on a labeled log is small.

    `"float16"` halves the ONNX files, and large tables in memory; products are computed in float32.
    `"int8"` reduces the files to between a quarter and two fifths, and computes large products in
    integers, with one scale per row of activations and per column of weights, so that rows do not affect
    each other. The ONNX files of all signatures are compressed; `model.keras` is copied unchanged, a
    SavedModel is not copied. The new bundle is loaded, verified and served like any other. Its manifest
    contains the measurements, and the tolerances of later checks, under `compression`. The peak memory is
    about five times the size of the largest ONNX file with its weights.

    Args:
        source: Folder of a bundle with the format `"onnx"`, which is not changed.
        directory: Folder of the new bundle. It must be new, empty, or contain an earlier bundle and no
            other files.
        log: Rows of any kind that `features.fit` accepts, with the columns of the features and the labels
            of the tasks, which were not used in training.
        weights: `"float16"` or `"int8"`.
        max_auc_loss: Largest loss of AUC per task; 1 disables the limit.
        max_ne_rise: Largest relative rise of normalized entropy per task; 0.001 is 0.1 %.
        num_rows: Number of rows read from the log.
        sample_weight: Column of the log with sample weights.
        modules: Modules that register custom layers of the model.

    Returns:
        A `Compression` with sizes and quality before and after.

    Raises:
        ValueError: If an argument is invalid, or the source is no such bundle.
        ExportError: If a task exceeds a limit or has only one label in these rows, or if a probability
            changes by more than 0.1. Nothing is written.

    >>> compress_bundle("nowhere", "small", "log.parquet")
    Traceback (most recent call last):
      ...
    ValueError: `directory` must contain a bundle with a manifest.json. Received: directory='nowhere'
    """
    check_choice("weights", weights, WEIGHTS)
    check_number("max_auc_loss", max_auc_loss, low=0.0, high=1.0)
    check_number("max_ne_rise", max_ne_rise, low=0.0)
    check_positive_int("num_rows", num_rows)
    before, directory = load_bundle(source), as_path("directory", directory).resolve()
    _check_source(before, directory)
    check_replaceable(directory)
    model = load_keras(before.directory, modules)
    reader = read(log, model, _ROWS, sample_weight=sample_weight)
    expectations = _expectations(model, before.manifest, log)
    with publish(directory) as folder:
        files = _write(before, folder, weights)
        manifest = {
            **before.manifest,
            "formats": ["onnx"],
            "weights": weights,
            "versions": versions(before.manifest["backend"]),
            "files": describe_files(folder),
        }
        write_manifest(folder, manifest)
        tasks, rows, moved = _measure(before, load_bundle(folder), model, reader, num_rows)
        made = Compression(directory, weights, files, tasks, rows, moved)
        _refuse(made, max_auc_loss, max_ne_rise)
        found = _check(folder, expectations, manifest["opset"])
        check_files(before.directory, before.manifest)  # raises if it was replaced meanwhile
        manifest["check"] = describe_check(expectations[IDS], manifest["check"]["seed"], found)
        tolerances = tolerances_of(differences_of(found, list(expectations)), moved)
        manifest["check"]["tolerance"] = max(tolerances.values())
        manifest["compression"] = {**made.to_json(), "tolerance": tolerances}
        write_manifest(folder, manifest)
    return made


def _check_source(source: Bundle, directory: Path) -> None:
    if "weights" in source.manifest:
        raise ValueError(
            "`source` must be a bundle with float32 weights, as written by `export_model`: weights are "
            f"rounded only once. Received: {source.manifest['weights']} weights in "
            f"{str(source.directory)!r}"
        )
    if source.tables is not None:
        raise ValueError(
            "`source` must have its tables in the graphs: compress the bundle before splitting off the "
            f"tables. Received: {str(source.directory)!r}, which has separate tables"
        )
    check_beside(directory, source.directory)


def _expectations(model: Any, manifest: Mapping[str, Any], log: Any) -> dict[str, ExpectedAnswers]:
    """Computes expected answers on random rows, extreme values and rows of the log."""
    functions = functions_of(model, [name for name in manifest["signatures"] if name != IDS])
    preprocessor = model.preprocessor
    columns = first_rows(open_log(log, model.features), preprocessor.columns, _CHECK_ROWS)
    seed, given = manifest["check"]["seed"], preprocessor(columns)
    expectations = expected_answers(model, functions, _CHECK_ROWS, seed, given, columns)
    return with_tolerances(expectations, dict.fromkeys(expectations, CEILING))


def _write(source: Bundle, folder: Path, weights: str) -> dict[str, tuple[int, int]]:
    """Writes the files of the new bundle; returns the bytes of each ONNX file before and after."""
    import onnx

    for name in (KERAS_FILE, FEATURES_FILE):
        shutil.copyfile(source.directory / name, folder / name)
    sizes, weights_file = {}, WeightsFile(folder)
    shared = WEIGHTS_FILE in source.manifest["files"]
    for name in (ONNX_FILES[signature] for signature in source.manifest["signatures"]):
        old, new = source.directory / name, folder / name
        model = onnx.load(str(old), load_external_data=False)
        with unlinked_weights(source.directory) as real:
            onnx.load_external_data_for_model(model, str(real))
        small = with_small_weights(model, weights)
        if shared:
            weights_file.take_from(small.graph)
        save(small, new)
        sizes[name] = (old.stat().st_size, new.stat().st_size)
    if shared:
        paths = (source.directory / WEIGHTS_FILE, folder / WEIGHTS_FILE)
        before, after = (path.stat().st_size if path.exists() else 0 for path in paths)
        sizes[WEIGHTS_FILE] = (before, after)
    return sizes


def _check(folder: Path, expectations: Mapping[str, ExpectedAnswers], opset: int) -> list[Finding]:
    found = [
        f for name in expectations for f in check_onnx(folder, name, opset, expectations[name])
    ]
    refuse_failed(found)
    return found


def _measure(
    before: Bundle, after: Bundle, model: Any, reader: Any, num_rows: int
) -> tuple[dict[str, Any], int, float]:
    """Returns the metrics of each task before and after, the number of rows, and the largest change."""
    kept: dict[str, list[Any]] = {task.name: [] for task in model.tasks}
    moved, rows = 0.0, 0
    for x, y, weight in reader:
        part = min(len(next(iter(y.values()))), num_rows - rows)
        x = {name: values[:part] for name, values in x.items()}
        one, other = before.predict(x), after.predict(x)
        for task, parts in kept.items():
            p, q = one[task][:, 0], other[task][:, 0]
            moved = max(moved, float(np.abs(p - q).max()))
            parts.append((y[task][:part], weight[task][:part], p, q))
        rows += part
        if rows == num_rows:
            break
    tasks = {}
    for task, parts in kept.items():
        y, weight, *scores = (np.concatenate([p[i] for p in parts]) for i in range(4))
        scores = [_uncertain(p) for p in scores]
        tasks[task] = {
            "auc": tuple(auc(y, p, weight) for p in scores),
            "normalized_entropy": tuple(normalized_entropy(y, p, weight) for p in scores),
        }
    return tasks, rows, moved


def _uncertain(p: np.ndarray) -> np.ndarray:
    """Returns probabilities without 0 and 1, which float32 rounds to, for finite losses."""
    return np.clip(p.astype(np.float64), 1e-12, 1 - 1e-12)


def _refuse(made: Compression, max_auc_loss: float, max_ne_rise: float) -> None:
    lost, undefined = [], []
    for task, measured in made.tasks.items():
        (a, b), (c, d) = measured["auc"], measured["normalized_entropy"]
        if not np.isfinite([a, b, c, d]).all():
            undefined.append(task)
        elif a - b > max_auc_loss or d > c * (1 + max_ne_rise):
            lost.append(task)
    if undefined:
        raise ExportError(
            "Each task must have positive and negative labels in the rows of the log. Increase `num_rows`, "
            f"or use another log. Received: only one label for {undefined}. No bundle was written.\n{made}"
        )
    if lost:
        raise ExportError(
            f"With {made.weights} weights, each task must lose at most {max_auc_loss:g} of AUC and "
            f"{max_ne_rise:.2%} of normalized entropy. Received: larger losses for {lost}. No bundle was "
            f"written. float16 loses less than int8.\n{made}"
        )
