"""Check that two models have the same predictions on the same rows."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from kranking.interop._source import as_numpy
from kranking.models import RankingModel


def check_same_predictions(
    model: RankingModel,
    original: Callable[[Any], Any],
    rows: Mapping[str, Any],
    tolerance: float = 1e-5,
) -> float:
    """Raises `ValueError` unless a converted model has the same predictions as the original.

    The difference of two predictions `p` and `q`, the original's, is `|p - q| / (1 + |q|)`.

    Args:
        model: A kranking model.
        original: Function that maps `rows` to logits or probabilities: an array for one task,
            `(rows, tasks)`, a list, or a dict by task.
        rows: Rows of the log by feature name, in the form that `original` accepts.
        tolerance: Allowed difference.

    Returns:
        The largest difference.

    Raises:
        ValueError: If a difference exceeds the tolerance. The message contains the row and the task.

    >>> age = kr.features.Numeric("age", transform="none")
    >>> model = kr.RankingModel([age], [kr.layers.MLP([4])], [kr.Task("save")])
    >>> rows = {"age": np.array([0.5, -1.0], "float32")}
    >>> kr.interop.check_same_predictions(model, model, rows)
    0.0
    """
    wanted = _by_task(original(rows), [task.name for task in model.tasks])
    logits = model(model.preprocess({name: _column(values) for name, values in rows.items()}))
    found = {
        "logit": logits,
        "probability": model.probabilities(logits),  # if the original ends with a sigmoid
    }
    gaps = {kind: _gap(_stack(outputs), wanted) for kind, outputs in found.items()}
    kind = min(gaps, key=lambda kind: gaps[kind].max())
    largest = float(gaps[kind].max())
    if not largest <= tolerance:
        row, task = np.unravel_index(np.argmax(gaps[kind]), wanted.shape)
        ours = _stack(found[kind])[row, task]
        raise ValueError(
            f"The predictions for `rows` differ. Row {row}, task {model.tasks[task].name!r}: expected "
            f"{wanted[row, task]:.6g}, received the {kind} {ours:.6g}; the largest difference relative "
            f"to 1 + |prediction| is {largest:.2g}, the tolerance {tolerance:g}. Check the order of the "
            "features and of the layers, and whether the original has other steps between them."
        )
    return largest


def _column(values: Any) -> np.ndarray:
    """Converts a column to the form that declarations read: flat, with bytes decoded to text."""
    values = as_numpy(values)
    values = values.reshape(-1) if values.ndim == 2 and values.shape[1] == 1 else values
    if values.dtype.kind in "SO":
        values = [v.decode() if isinstance(v, bytes) else v for v in values.tolist()]
        return np.array(values, dtype=object)
    return values


def _by_task(given: Any, tasks: list[str]) -> np.ndarray:
    """Converts predictions to an array `(rows, tasks)`."""
    if isinstance(given, Mapping):
        missing = [name for name in tasks if name not in given]
        if missing:
            raise ValueError(
                f"The original must predict every task. Missing: {missing}. Received: {sorted(given)}"
            )
        given = [given[name] for name in tasks]
    parts = list(given) if isinstance(given, list | tuple) else [given]
    arrays = [as_numpy(part).astype(np.float64) for part in parts]
    arrays = [a.reshape(-1, 1) if a.ndim == 1 else a for a in arrays]
    whole = np.concatenate(arrays, axis=-1) if all(a.ndim == 2 for a in arrays) else arrays[0]
    if whole.ndim != 2 or whole.shape[1] != len(tasks) or not len(whole):
        raise ValueError(
            f"The original must return one prediction per row and task, (rows, {len(tasks)}). "
            f"Received: {[a.shape for a in arrays]}"
        )
    return whole


def _stack(outputs: Mapping[str, Any]) -> np.ndarray:
    return np.concatenate([as_numpy(x) for x in outputs.values()], axis=-1).astype(np.float64)


def _gap(found: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    if found.shape != wanted.shape:
        raise ValueError(
            f"The original must return one prediction per row, {found.shape}. Received: {wanted.shape}"
        )
    gap = np.abs(found - wanted) / (1.0 + np.abs(wanted))
    return np.where(np.isfinite(gap), gap, np.inf)
