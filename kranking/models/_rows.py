"""Checks of rows passed as arrays, before the first step and equal on all backends."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kranking.features.internal import InputSpec


def check_rows(x: Any, specs: Mapping[str, InputSpec]) -> None:
    """Raises `ValueError` for raw columns, ids that are not integers, and numbers that are not finite.

    Args:
        x: Data passed to `fit`, `evaluate` or `predict`. Only a dict of NumPy arrays or lists is
            checked: readers check their rows themselves, and tensors are not checked.
        specs: Shape and dtype of each input, by name.
    """
    if not isinstance(x, Mapping):
        return
    for name, spec in specs.items():
        if isinstance(x.get(name), np.ndarray | list | tuple):
            _check_array(name, np.asarray(x[name]), spec)


def check_order(x: Any) -> None:
    """Raises `ValueError` for a reader that shuffles, since predictions are in the order of the rows."""
    if getattr(x, "shuffled", False):
        raise ValueError(
            "`x` must return its rows in the order of the log, otherwise predictions cannot be matched to "
            "rows. Received: a reader with shuffle=True"
        )


def _check_array(name: str, values: np.ndarray, spec: InputSpec) -> None:
    if values.dtype.kind in "OUSM":
        raise ValueError(
            f"Input {name!r} must have dtype {spec.dtype}. Received: {values.dtype}, a raw column of the "
            "log. Call `model.preprocess(columns)` first."
        )
    if spec.dtype == "int32" and values.dtype.kind == "f":
        raise ValueError(
            f"Input {name!r} must be table rows of dtype {spec.dtype}. Received: {values.dtype}. If these "
            "are raw values of the log, call `model.preprocess(columns)` first."
        )
    if values.dtype.kind == "f":
        _check_finite(f"Input {name!r}", values)


def check_labels(y: Any, tasks: Sequence[str]) -> None:
    """Raises `ValueError` unless a dict of labels contains finite labels for every task.

    Args:
        y: Labels; only a dict is checked.
        tasks: Names of the tasks.
    """
    if not isinstance(y, Mapping):
        return
    if set(y) != set(tasks):
        raise ValueError(
            f"`y` must contain the labels of exactly the tasks {list(tasks)}. "
            f"Received: {sorted(map(str, y))}. Use sample weight 0 where an action was not observed."
        )
    for name, labels in y.items():
        if isinstance(labels, np.ndarray | list | tuple) and np.asarray(labels).dtype.kind == "f":
            _check_finite(f"Task {name!r}", np.asarray(labels))


def _check_finite(what: str, values: np.ndarray) -> None:
    bad = ~np.isfinite(values)
    if bad.any():
        row = int(np.argmax(bad.reshape(len(values), -1).any(axis=1)))
        raise ValueError(
            f"{what} must not contain NaN or infinity. Received: {values[row]} in row {row}"
        )
