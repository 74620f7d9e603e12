"""From a checked bundle to a smaller one, whose cost in quality is measured and capped."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from kranking._core import check_choice, check_number, check_positive_int
from kranking.data import read_parquet
from kranking.export._bundle import FEATURES_FILE, load_bundle
from kranking.export._check_artefacts import check_onnx
from kranking.export._error import ExportError
from kranking.export._finding import refuse_failed
from kranking.export._keras_file import KERAS_FILE, load_keras
from kranking.export._manifest import describe_files, versions, write_manifest
from kranking.export._onnx import save
from kranking.export._publish import check_replaceable, published
from kranking.export._served import IDS, ONNX_FILES, served
from kranking.export._small_weights import WEIGHTS, with_small_weights
from kranking.export._wanted import wanted_of
from kranking.metrics import auc, normalized_entropy

_ROWS = 4096  # of one run
_LEAST_TOLERANCE = 1e-4  # of a later check: another processor rounds in another order


@dataclass(frozen=True)
class Compression:
    """What `compress_bundle` wrote, and what it cost; printed, it is a table of tasks.

    Attributes:
        directory: The smaller bundle.
        weights: How weights are kept.
        files: By ONNX file, its bytes before and after.
        tasks: By task, `auc` and `normalized_entropy`, each before and after.
        rows: Rows of the log that they were measured on.
        moved: The largest |Δp| over these rows and tasks.

    >>> print(Compression(
    ...     Path("small"), "int8", {"model.onnx": (4_000, 1_100)},
    ...     {"save": {"auc": (0.75, 0.7496), "normalized_entropy": (0.9, 0.9004)}}, 5_000, 0.004,
    ... ))
    small: weights in int8, 27.5 % of the bytes; on 5,000 rows probabilities moved by at most 0.004
    task  AUC     after   change   NE      after   change
    save  0.7500  0.7496  -0.0004  0.9000  0.9004  +0.04 %
    """

    directory: Path
    weights: str
    files: Mapping[str, tuple[int, int]]
    tasks: Mapping[str, Mapping[str, tuple[float, float]]]
    rows: int
    moved: float

    @property
    def share(self) -> float:
        """Bytes of the ONNX files after over before."""
        before, after = (sum(sizes) for sizes in zip(*self.files.values()))
        return after / before

    def __str__(self) -> str:
        lines = [("task", "AUC", "after", "change", "NE", "after", "change")]
        for task, measured in self.tasks.items():
            (a, b), (c, d) = measured["auc"], measured["normalized_entropy"]
            ne = (f"{c:.4f}", f"{d:.4f}", f"{d / c - 1:+.2%}".replace("%", " %"))
            lines.append((task, f"{a:.4f}", f"{b:.4f}", f"{b - a:+.4f}", *ne))
        widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
        table = ["  ".join(f"{x:{w}}" for x, w in zip(line, widths)).rstrip() for line in lines]
        share = f"{self.share:.1%}".replace("%", " %")
        head = (
            f"{self.directory}: weights in {self.weights}, {share} of the bytes; on {self.rows:,} rows "
            f"probabilities moved by at most {self.moved:.2g}"
        )
        return "\n".join([head, *table])

    def to_json(self) -> dict[str, Any]:
        """Gives everything but the directory, as the manifest holds it."""
        return {
            "weights": self.weights,
            "files": {name: list(sizes) for name, sizes in self.files.items()},
            "tasks": {t: {k: list(v) for k, v in m.items()} for t, m in self.tasks.items()},
            "rows": self.rows,
            "moved": self.moved,
        }


def compress_bundle(
    source: str | Path,
    directory: str | Path,
    log: Any,
    weights: str = "int8",
    *,
    max_auc_loss: float = 1e-3,
    max_ne_rise: float = 1e-3,
    num_rows: int = 100_000,
    modules: Sequence[str] = (),
) -> Compression:
    """Writes a bundle anew with small weights, if a labelled log shows that little is lost.

    `"float16"` halves the ONNX files, and the tables in memory; products are computed in float32 as before.
    `"int8"` quarters both, and computes products in integers, with a scale for each row of activations and
    each column of weights: rows do not influence each other. Every signature's file is made small; a
    SavedModel does not come along. The new bundle is loaded, verified and served as any other; its manifest
    holds what was measured, under `compression`, and the tolerance of later checks.

    Args:
        source: A bundle with the format `"onnx"`; it stays as it is.
        directory: The new bundle's folder: new, empty, or holding an earlier bundle and nothing else.
        log: Parquet files with the features' columns and the tasks' labels, rows that the model was not
            trained on: path, folder, glob or a list of them.
        weights: `"float16"` or `"int8"`.
        max_auc_loss: By how much each task's AUC may fall.
        max_ne_rise: By what share each task's normalized entropy may rise; 0.001 is 0.1 %.
        num_rows: How many of the log's first rows.
        modules: Modules that register the model's own layers.

    Raises:
        ValueError: An argument is wrong, or the source is no such bundle.
        ExportError: A task would lose more, or has not both labels in these rows; nothing is written.

    >>> compress_bundle("nowhere", "small", "log.parquet")
    Traceback (most recent call last):
      ...
    ValueError: `directory` should hold a bundle with a manifest.json. Received: directory='nowhere'
    """
    check_choice("weights", weights, WEIGHTS)
    check_number("max_auc_loss", max_auc_loss, low=0.0)
    check_number("max_ne_rise", max_ne_rise, low=0.0)
    check_positive_int("num_rows", num_rows)
    before, directory = load_bundle(source), Path(directory).resolve()
    if "weights" in before.manifest:
        raise ValueError(
            "`source` should be a bundle as `export_model` writes it: its weights are rounded once only. "
            f"Received: weights in {before.manifest['weights']} in {str(source)!r}"
        )
    check_replaceable(directory)
    model = load_keras(before.directory, modules)
    with published(directory) as folder:
        names = _write(before.directory, folder, before.manifest, weights)
        files = {name: (_bytes(before.directory / name), _bytes(folder / name)) for name in names}
        reached = _check(folder, model, before.manifest)
        described = {
            **before.manifest,
            "formats": ["onnx"],
            "weights": weights,
            "versions": versions(before.manifest["backend"]),
            "files": describe_files(folder),
        }
        described["check"] = {
            **before.manifest["check"],
            "tolerance": max(2 * max(reached.values()), _LEAST_TOLERANCE),
            "reached": reached,
        }
        write_manifest(folder, described)
        tasks, rows, moved = _measure(before, load_bundle(folder), model, log, num_rows)
        made = Compression(directory, weights, files, tasks, rows, moved)
        _refuse(made, max_auc_loss, max_ne_rise)
        write_manifest(folder, {**described, "compression": made.to_json()})
    return made


def _write(source: Path, folder: Path, manifest: Mapping[str, Any], weights: str) -> list[str]:
    import onnx

    for name in (KERAS_FILE, FEATURES_FILE):
        shutil.copyfile(source / name, folder / name)
    names = [ONNX_FILES[signature] for signature in manifest["signatures"]]
    for name in names:
        save(with_small_weights(onnx.load(str(source / name)), weights), folder / name)
    return names


def _bytes(file: Path) -> int:
    return file.stat().st_size


def _check(folder: Path, model: Any, manifest: Mapping[str, Any]) -> dict[str, float]:
    """Checks interfaces and that every answer is finite; gives how near the answers come to the model's."""
    functions = served(model, [name for name in manifest["signatures"] if name != IDS])
    found = []
    for name, expected in wanted_of(model, functions, 64, manifest["check"]["seed"]).items():
        expected = replace(expected, tolerance=float("inf"))
        found += check_onnx(folder, name, manifest["opset"], expected)
    refuse_failed(found)
    return {finding.of: finding.value for finding in found if finding.value is not None}


def _measure(
    before: Any, after: Any, model: Any, log: Any, num_rows: int
) -> tuple[dict, int, float]:
    reader = read_parquet(log, model, _ROWS)
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
        logits = [_logits(p) for p in scores]
        tasks[task] = {
            "auc": tuple(auc(y, z, weight) for z in logits),
            "normalized_entropy": tuple(normalized_entropy(y, z, weight) for z in logits),
        }
    return tasks, rows, moved


def _logits(p: np.ndarray) -> np.ndarray:
    p = np.clip(p.astype(np.float64), 1e-12, 1 - 1e-12)
    return np.log(p) - np.log1p(-p)


def _refuse(made: Compression, max_auc_loss: float, max_ne_rise: float) -> None:
    lost = []
    for task, measured in made.tasks.items():
        (a, b), (c, d) = measured["auc"], measured["normalized_entropy"]
        if not (a - b <= max_auc_loss and d <= c * (1 + max_ne_rise)):  # NaN is refused too
            lost.append(task)
    if lost:
        raise ExportError(
            f"Weights in {made.weights} should cost each task at most {max_auc_loss:g} of AUC and "
            f"{max_ne_rise:.2%} of normalized entropy, measured on rows with both labels. "
            f"Received: more, or nothing to measure, for {lost}; no bundle was written\n{made}"
        )
