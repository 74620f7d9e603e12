"""Accumulation dtype under mixed precision."""

import keras


def wide(dtype) -> str:
    """Returns the dtype for precision-sensitive computations: `"float64"` for float64, else `"float32"`.

    >>> kr.ops.wide("bfloat16"), kr.ops.wide("float64")
    ('float32', 'float64')
    """
    dtype = keras.backend.standardize_dtype(dtype)
    return "float64" if dtype == "float64" else "float32"
