"""Validation of input rows against a signature."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from kranking.export._rows import Rows
from kranking.export.functions._signature import Signature, Value
from kranking.features.internal import BOUND

_HINTS = {
    True: "To convert columns of a log to model inputs, use `features.Preprocessor(bundle.features())`.",
    False: "To convert columns of a log to tensors, use `features.RawColumns`, or call `bundle.score`.",
}


def check_rows(signature: Signature, rows: Mapping[str, Any], finite: bool = True) -> Rows:
    """Returns `rows` as arrays in the order of the signature; raises `ValueError` for an invalid input."""
    hint = _HINTS[finite]
    names = [value.name for value in signature.inputs]
    missing = [name for name in names if name not in rows]
    unknown = [name for name in rows if name not in names]
    if missing or unknown:
        raise ValueError(
            f"The inputs must be {names}. Received: missing {missing}, unknown {unknown}. " + hint
        )
    arrays = {v.name: _check_column(v, rows[v.name], finite, hint) for v in signature.inputs}
    sizes = {v.name: len(arrays[v.name]) for v in signature.inputs if v.rows is None}
    if len(set(sizes.values())) > 1:
        raise ValueError(f"All inputs must have the same number of rows. Received: {sizes}")
    return arrays


def _check_column(value: Value, column: Any, finite: bool, hint: str) -> np.ndarray:
    array = np.asarray(column)
    if value.dtype == "string":
        array = _check_strings(value, array)
    elif array.dtype != value.dtype:
        raise ValueError(
            f"Input `{value.name}` must have dtype {value.dtype}. Received: dtype={array.dtype}. "
            + hint
        )
    good = array.ndim == 1 + len(value.shape) and array.shape[1:] == value.shape
    if not good or value.rows not in (None, len(array)):
        expected = ", ".join(map(str, [value.axis, *value.shape]))
        raise ValueError(
            f"Input `{value.name}` must have shape ({expected}). Received: shape={array.shape}"
        )
    if finite and value.dtype == "float32":
        bad = ~(np.abs(array) <= BOUND)  # no transform gives more
        if bad.any():
            row = int(np.argwhere(bad)[0][0])
            raise ValueError(
                f"Input `{value.name}` must be finite and at most {BOUND:.1e}. "
                f"Received: {array[row].tolist()} in row {row}"
            )
    return array


def _check_strings(value: Value, array: np.ndarray) -> np.ndarray:
    array = array.astype(object)
    for text in array.ravel():
        try:
            text.encode()
        except (AttributeError, UnicodeEncodeError) as error:
            raise ValueError(
                f"Input `{value.name}` must contain strings that can be encoded as UTF-8. "
                f"Received: {text!r} ({type(error).__name__})"
            ) from error
    return array
