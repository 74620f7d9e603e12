"""L2 normalization."""

from keras import ops

from kranking.ops._precision import wide


def l2_normalize(x, axis: int = -1, epsilon: float = 1e-12):
    """Scales vectors to unit length; vectors no longer than `epsilon` become zero.

    `y = x / ||x||` where `||x|| > epsilon`, otherwise 0 with a gradient of 0. Padding rows are zero
    vectors: dividing them by `epsilon` would multiply their gradient by 1e12.

    Args:
        x: Float tensor.
        axis: Axis of the vectors.
        epsilon: Norm up to which a vector is treated as zero.

    Returns:
        A tensor of the shape and dtype of `x`. The norm is computed in at least float32.

    >>> [[round(float(v), 3) for v in row]
    ...  for row in kr.ops.l2_normalize(np.array([[3.0, 4.0], [0.0, 0.0]], "float32"))]
    [[0.6, 0.8], [0.0, 0.0]]
    """
    x = ops.convert_to_tensor(x)
    values = ops.cast(x, wide(x.dtype))
    square = ops.sum(ops.square(values), axis=axis, keepdims=True)  # (..., 1)
    # The maximum keeps the square root away from 0, where its gradient is infinite (NaN times 0).
    length = ops.sqrt(ops.maximum(square, max(epsilon**2, 1e-24)))
    # With `<=`, a NaN norm is not replaced and propagates to the whole vector.
    length = ops.where(square <= epsilon**2, float("inf"), length)
    return ops.cast(values / length, x.dtype)
