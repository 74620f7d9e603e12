"""Columns of numbers as float64."""

import numpy as np
import pyarrow as pa


def is_number(kind: pa.DataType) -> bool:
    """Whether the values are numbers."""
    types = pa.types
    return (
        types.is_integer(kind)
        or types.is_floating(kind)
        or types.is_boolean(kind)
        or types.is_decimal(kind)
        or types.is_null(kind)
    )


def numbers(array: pa.Array) -> np.ndarray:
    """Converts values to float64, with NaN for null."""
    if pa.types.is_decimal(array.type) or pa.types.is_null(array.type):
        array = array.cast(pa.float64())
    return np.asarray(array.to_numpy(zero_copy_only=False), np.float64)
