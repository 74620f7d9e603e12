"""Rows given as arrays, checked before the first step: the same answer on every backend."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kranking.features.internal import InputSpec


def check_rows(x: Any, specs: Mapping[str, InputSpec]) -> None:
    """Raises `ValueError` for raw columns, ids that are no integers, and numbers that are not finite.

    Args:
        x: What `fit`, `evaluate` or `predict` was given. Only a dict of NumPy arrays or lists is
            looked at: readers check their own rows, and tensors are taken as they are.
        specs: Shape and dtype of each input, by name.
    """
    if not isinstance(x, Mapping):
        return
    for name, spec in specs.items():
        if isinstance(x.get(name), np.ndarray | list | tuple):
            _check_array(name, np.asarray(x[name]), spec)


def check_order(x: Any) -> None:
    """Raises `ValueError` for a reader that shuffles: predictions follow the order of the rows."""
    if getattr(x, "shuffled", False):
        raise ValueError(
            "`x` must give its rows in the log's order, or nobody knows whose a probability is. "
            "Received: a reader with shuffle=True"
        )


def _check_array(name: str, values: np.ndarray, spec: InputSpec) -> None:
    if values.dtype.kind in "OUSM":
        raise ValueError(
            f"Input {name!r} must be what the model reads, {spec.dtype}. Received: {values.dtype}, a "
            "column of the log: call `model.preprocess(columns)` first"
        )
    if spec.dtype == "int32" and values.dtype.kind == "f":
        raise ValueError(
            f"Input {name!r} must be rows of a table, {spec.dtype}. Received: {values.dtype}. If these are "
            "values of the log, call `model.preprocess(columns)` first"
        )
    if values.dtype.kind == "f":
        _check_finite(f"Input {name!r}", values)


def check_labels(y: Any, tasks: Sequence[str]) -> None:
    """Raises `ValueError` unless a dict of labels names every task, with finite labels.

    Args:
        y: Labels; only a dict is looked at.
        tasks: Names of the tasks.
    """
    if not isinstance(y, Mapping):
        return
    if set(y) != set(tasks):
        raise ValueError(
            f"`y` must hold the labels of every task, {list(tasks)}, and of no other. "
            f"Received: {sorted(map(str, y))}. Where an action was not observed, give sample weight 0"
        )
    for name, labels in y.items():
        if isinstance(labels, np.ndarray | list | tuple) and np.asarray(labels).dtype.kind == "f":
            _check_finite(f"Task {name!r}", np.asarray(labels))


def _check_finite(what: str, values: np.ndarray) -> None:
    bad = ~np.isfinite(values)
    if bad.any():
        row = int(np.argmax(bad.reshape(len(values), -1).any(axis=1)))
        raise ValueError(f"{what} refuses NaN and infinity. Received: {values[row]} in row {row}")
