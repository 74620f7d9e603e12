"""Checks of the inputs of the exact metrics."""

import contextlib

import keras
import numpy as np

from kranking.metrics._group_index import group_index, is_null


def checked_rows(y, score, sample_weight, *, binary, from_logits=True):
    """Returns labels, scores and weights as float64 `(rows,)` arrays without the rows of weight 0."""
    y, score = numbers("y", y), numbers("score", score).astype(np.float64)
    weight = numbers(
        "sample_weight", np.ones(len(score)) if sample_weight is None else sample_weight
    )
    for name, array in (("y", y), ("sample_weight", weight)):
        if len(array) != len(score):
            raise ValueError(
                f"`{name}` must have one value for each of the {len(score)} scores. "
                f"Received: {len(array)} values"
            )
    if sample_weight is not None:
        _refuse(
            "sample_weight",
            weight,
            ~(np.isfinite(weight) & (weight >= 0)),
            "be finite and positive",
        )
    kept = weight != 0
    good = (y == 0) | (y == 1) if binary else (y >= 0) & (y <= 1)
    _refuse("y", y, ~good & kept, "be 0 or 1" if binary else "be in [0, 1]")
    if not from_logits:
        check_probabilities(score, weight)
    if sample_weight is not None:
        y, score, weight = y[kept], score[kept], weight[kept]
    return y.astype(np.float64), score, weight.astype(np.float64)


def numbers(name, values):
    """Returns numbers as a flat array, those of tensors too; raises `ValueError` for anything else."""
    if keras.ops.is_tensor(values):
        values = keras.ops.convert_to_numpy(values)
    array = np.reshape(np.asarray(values), -1)  # first an array: pandas's own skip nulls
    if (
        array.dtype.kind == "O" and values is not None
    ):  # of a frame with nulls, or with several types
        with contextlib.suppress(TypeError, ValueError):
            array = np.array([np.nan if is_null(v) else v for v in array]).astype(np.float64)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"`{name}` must be numbers. Received: {array[:3]}")
    return array


def check_probabilities(score, sample_weight):
    """Raises `ValueError` if a value outside [0, 1] was given as a probability; NaN is undefined."""
    score = np.reshape(score, -1)
    bad = (score < 0) | (score > 1)
    if isinstance(sample_weight, np.ndarray | list | tuple) and np.size(sample_weight) == len(bad):
        bad &= np.reshape(sample_weight, -1) != 0
    if bad.any():
        row = int(np.argmax(bad))
        raise ValueError(
            "Predictions must be probabilities in [0, 1]; pass from_logits=True if they are logits, as "
            f"`model(x)` returns. Received: {score[row]} in row {row}"
        )


def checked_groups(groups, num_rows, *, name):
    """Returns the distinct groups and the index of each row's group."""
    groups = np.reshape(np.asarray(groups), -1)
    if len(groups) != num_rows:
        raise ValueError(
            f"`{name}` must have one value for each of the {num_rows} scores. "
            f"Received: {len(groups)} values"
        )
    return group_index(groups, name)


def _refuse(name, values, bad, what):
    if bad.any():
        row = int(np.argmax(bad))
        raise ValueError(
            f"`{name}` must {what} in every row with nonzero weight. "
            f"Received: {name}={values[row]} in row {row}"
        )
