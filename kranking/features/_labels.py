"""Labels and sample weights of rows, under the same rules in arrays, files and requests of training."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from kranking._rows import Origin, as_arrow, plain_type
from kranking.features._columns import FLOAT32_MAX, is_number
from kranking.features._task import Task

# Optimizers accumulate squares of gradients, which must be finite in float32.
_HEAVIEST = math.sqrt(FLOAT32_MAX)


def label_column(task: Task, columns: Mapping[str, Any], origin: Origin) -> pa.Array:
    """Returns the labels of a task from the columns of a log: its label column, or booleans of its rule.

    Args:
        task: The task.
        columns: Columns by name, with those of the task.
        origin: Origin of the rows, for error messages.

    Raises:
        ValueError: If the rule cannot compare a column, or is null in a row and `nulls="refuse"`.
    """
    given = {name: as_arrow(columns[name], name) for name in task.columns}
    if task.rule is None:
        return given[task.columns[0]]
    lengths = {name: len(array) for name, array in given.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"Columns must have equal lengths. Received: {lengths}")
    labels = task.rule(given, f"Task {task.name!r}", origin)
    if task.nulls == "refuse" and labels.null_count:
        row = int(np.argmax(labels.is_null().to_numpy(zero_copy_only=False)))
        values = ", ".join(f"{name}={given[name][row].as_py()!r:.100}" for name in given)
        raise ValueError(
            f"Task {task.name!r} does not accept null. Received: null by the rule {task.when!r:.200} for "
            f"{values}, {origin.at(row)}. Declare `nulls='mask'` if the action was not observed there, or "
            "decide nulls in the rule by `is null`."
        )
    return labels


def check_label_types(task: Task, schema: pa.Schema, origin: Origin) -> None:
    """Raises `ValueError` unless columns with this schema can be the labels of a task."""
    who = f"Task {task.name!r}"
    for name in task.columns:
        check_label_column(who, name, schema.names, origin)
    if task.rule is None:
        check_label_type(who, task.columns[0], schema.field(task.columns[0]).type, origin)
        return
    kinds = {name: plain_type(schema.field(name).type) for name in task.columns}
    task.rule({name: pa.nulls(0, kind) for name, kind in kinds.items()}, who, origin)


def check_label_column(who: str, column: str, names: Iterable[str], origin: Origin) -> None:
    """Raises `ValueError` unless a column of labels or weights is among those of a file."""
    if column not in names:
        raise ValueError(
            f"{who} needs column {column!r}, which {origin.file} does not have. "
            f"Received: {sorted(names)}"
        )


def label_values(task: Task, array: pa.Array, origin: Origin) -> tuple[np.ndarray, np.ndarray]:
    """Returns the float32 labels of a task, 0 where it was not observed, and a mask of the observed rows.

    Args:
        task: The task; with `nulls="mask"`, rows with a null or NaN label are not observed.
        array: Numbers or booleans.
        origin: Origin of the rows, for messages.

    Raises:
        ValueError: If a label is outside of [0, 1], infinite or, unless masked, null or NaN.
    """
    column = task.name if task.rule is not None else task.columns[0]
    values, missing = _numbers(array, f"Task {task.name!r}", column, origin)
    if task.nulls == "mask":
        missing |= np.isnan(values)
    else:
        missing[:] = False
    bad = ~((values >= 0) & (values <= 1)) & ~missing  # NaN compares false with everything
    if bad.any():
        row = int(np.argmax(bad))
        null = np.isnan(values[row])
        what = "null, NaN and infinity" if not np.isfinite(values[row]) else "labels outside [0, 1]"
        raise ValueError(
            f"Task {task.name!r} does not accept {what}. Received: {values[row]} in column "
            f"{column!r}, {origin.at(row)}."
            + (
                " Declare `nulls='mask'` if the action was not observed there."
                if null
                else " A row in which the action was not observed has sample weight 0."
            )
        )
    return np.where(missing, 0, values).astype(np.float32), ~missing


def weight_values(array: pa.Array, column: str, origin: Origin) -> np.ndarray:
    """Returns float64 sample weights; 0 means that the row does not count.

    Raises:
        ValueError: If a weight is null, NaN, negative, or so large that its square overflows in float32.
    """
    values, _ = _numbers(array, "`sample_weight`", column, origin)
    bad = ~((values >= 0) & (values <= _HEAVIEST))
    if bad.any():
        row = int(np.argmax(bad))
        raise ValueError(
            f"`sample_weight` must be finite and non-negative, at most {_HEAVIEST:.1e}. Received: "
            f"{values[row]} in column {column!r}, {origin.at(row)}"
        )
    return values


def class_counts(labels: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Returns the numbers of observed rows whose label is above 0 and below 1."""
    return np.array(
        [np.count_nonzero((labels > 0) & observed), np.count_nonzero((labels < 1) & observed)]
    )


def check_label_type(who: str, column: str, kind: pa.DataType, origin: Origin) -> None:
    """Raises `ValueError` unless values of an Arrow type can be labels or weights."""
    if not is_number(plain_type(kind)):
        raise ValueError(
            f"{who} has the wrong type in column {column!r} of {origin.file}. "
            f"Expected: numbers or booleans. Received: {kind}"
        )


def _numbers(
    array: pa.Array, who: str, column: str, origin: Origin
) -> tuple[np.ndarray, np.ndarray]:
    """Returns float64 values, with NaN for null, and a mask of the nulls."""
    check_label_type(who, column, array.type, origin)
    missing = np.array(array.is_null().to_numpy(zero_copy_only=False))
    if not pa.types.is_floating(array.type):
        array = array.cast(pa.float64(), safe=False)  # 2**60 is no label, whatever its last digit
    return np.asarray(array.to_numpy(zero_copy_only=False), np.float64), missing
