"""The dtype of delicate sums and products under mixed precision."""

import keras


def wide(dtype) -> str:
    """Returns float32, or float64 for float64: where half precision would lose a sum or overflow.

    >>> kr.ops.wide("bfloat16"), kr.ops.wide("float64")
    ('float32', 'float64')
    """
    dtype = keras.backend.standardize_dtype(dtype)
    return "float64" if dtype == "float64" else "float32"
