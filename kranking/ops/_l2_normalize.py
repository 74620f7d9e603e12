"""Scaling of vectors to unit length."""

from keras import ops

from kranking.ops._precision import wide


def l2_normalize(x, axis: int = -1, epsilon: float = 1e-12):
    """Scales vectors to unit length; a vector shorter than `epsilon` becomes zero.

    `y = x / ||x||` where `||x|| > epsilon`, else 0, with a gradient of 0. Padding rows are such
    zeros: dividing them by `epsilon` instead would multiply their gradient by 1e12.

    Args:
        x: Float tensor.
        axis: Axis of the vectors.
        epsilon: Length below which a vector counts as zero.

    Returns:
        A tensor of the shape and dtype of `x`; the norm itself is computed in float32 at least.

    >>> [[round(float(v), 3) for v in row]
    ...  for row in kr.ops.l2_normalize(np.array([[3.0, 4.0], [0.0, 0.0]], "float32"))]
    [[0.6, 0.8], [0.0, 0.0]]
    """
    x = ops.convert_to_tensor(x)
    values = ops.cast(x, wide(x.dtype))
    square = ops.sum(ops.square(values), axis=axis, keepdims=True)  # (..., 1)
    # The inner maximum keeps the root away from 0, whose infinite slope would become NaN times 0.
    length = ops.sqrt(ops.maximum(square, max(epsilon**2, 1e-24)))
    # Asked this way round, a NaN is a length and makes all of its vector NaN.
    length = ops.where(square <= epsilon**2, float("inf"), length)
    return ops.cast(values / length, x.dtype)
