"""Numbers of a log in half precision."""

from typing import Any

from keras import ops

from kranking.ops import l2_normalize

# Beyond 1,024, float16 has no fractions, and a sum of 64 such values leaves its range of 65,504.
FLOAT16_BOUND = 1024.0


def bounded_cast(values: Any, dtype: str, normalized: bool = False) -> Any:
    """Casts numbers of a log to the compute dtype; for float16, bounds them to ±1,024 first.

    Larger numbers would be infinite in float16 or in the first product with a kernel, and NaN after it.
    bfloat16 and float32 have the range of the inputs.

    Args:
        values: Numbers of a log after their transform, of any shape.
        dtype: The compute dtype.
        normalized: Whether only the direction of the vectors matters; it is then exact.
    """
    values = ops.convert_to_tensor(values)
    if dtype == "float16":
        values = ops.cast(values, "float32")
        values = l2_normalize(values) if normalized else values
        values = ops.clip(values, -FLOAT16_BOUND, FLOAT16_BOUND)
    return ops.cast(values, dtype)
