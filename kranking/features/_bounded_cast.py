"""Numbers of a log in half precision, and after a training in half precision."""

from typing import Any

from keras import ops

from kranking.features._bounded_float32 import BoundedFloat32
from kranking.ops import l2_normalize

# Beyond 1,024, float16 has no fractions, and a sum of 64 such values leaves its range of 65,504.
FLOAT16_BOUND = 1024.0


def bounded_cast(values: Any, policy: Any, normalized: bool = False) -> Any:
    """Casts numbers of a log to the compute dtype; for float16, bounds them to ±1,024 first.

    Larger numbers would be infinite in float16 or in the first product with a kernel, and NaN after it.
    bfloat16 and float32 have the range of the inputs. A model that was trained in float16 keeps the bound
    in float32.

    Args:
        values: Numbers of a log after their transform, of any shape.
        policy: The dtype policy of the layer.
        normalized: Whether only the direction of the vectors matters; it is then exact.
    """
    values, dtype = ops.convert_to_tensor(values), policy.compute_dtype
    if dtype == "float16" or isinstance(policy, BoundedFloat32):
        values = ops.cast(values, "float32")
        values = l2_normalize(values) if normalized else values
        values = ops.clip(values, -FLOAT16_BOUND, FLOAT16_BOUND)
    return ops.cast(values, dtype)
