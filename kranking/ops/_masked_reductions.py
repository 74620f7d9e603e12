"""Reductions over the valid entries of an axis, with 0 where no entry is valid."""

import keras
from keras import ops

from kranking.ops._precision import wide

# Finite substitute for minus infinity: the softmax of a row of infinities is NaN.
_LOWEST = -3.0e38
_FAR_BELOW = -1.0e30  # absorbs any score that is added to it


def masked_sum(x, mask, axis: int = 1):
    """Computes the sum of the entries of `x` whose `mask` is true.

    Args:
        x: Float tensor, `(batch, length, ...)`.
        mask: Boolean tensor, `(batch, length)`, or of the rank of `x`.
        axis: Axis to reduce, counted from the front.

    Returns:
        A tensor with the shape of `x` without `axis`; 0 where no entry is valid. Values of invalid
        entries, including NaN, affect neither the result nor its gradient.

    >>> float(kr.ops.masked_sum(np.array([[1.0, 2.0, 9.0]]), np.array([[True, True, False]]))[0])
    3.0
    """
    x, mask = _align(x, mask)
    values = ops.where(mask, ops.cast(x, wide(x.dtype)), 0.0)
    return ops.cast(ops.sum(values, axis=axis), x.dtype)


def masked_mean(x, mask, axis: int = 1):
    """Computes the mean of the entries of `x` whose `mask` is true, or 0 if there is none.

    Args:
        x: Float tensor, `(batch, length, ...)`.
        mask: Boolean tensor, `(batch, length)`, or of the rank of `x`.
        axis: Axis to reduce, counted from the front.

    Returns:
        `x` without `axis`.

    >>> float(kr.ops.masked_mean(np.array([[1.0, 2.0, 9.0]]), np.array([[True, True, False]]))[0])
    1.5
    """
    x, mask = _align(x, mask)
    dtype = wide(x.dtype)
    total = ops.sum(ops.where(mask, ops.cast(x, dtype), 0.0), axis=axis)
    count = ops.sum(ops.cast(mask, dtype), axis=axis)
    return ops.cast(total / ops.maximum(count, 1.0), x.dtype)


def masked_max(x, mask, axis: int = 1):
    """Computes the maximum of the entries of `x` whose `mask` is true, or 0 if there is none.

    Args:
        x: Float tensor, `(batch, length, ...)`.
        mask: Boolean tensor, `(batch, length)`, or of the rank of `x`.
        axis: Axis to reduce, counted from the front.

    Returns:
        `x` without `axis`.

    >>> float(kr.ops.masked_max(np.array([[-1.0, -2.0, 9.0]]), np.array([[True, True, False]]))[0])
    -1.0
    """
    x, mask = _align(x, mask)
    values = ops.where(mask, ops.cast(x, wide(x.dtype)), _LOWEST)
    largest = _max(values, axis)
    some = ops.any(ops.logical_and(mask, ops.ones_like(x, dtype="bool")), axis=axis)
    return ops.cast(ops.where(some, largest, 0.0), x.dtype)


def masked_softmax(scores, mask):
    """Computes the softmax over the valid entries of the last axis, with 0 elsewhere.

    Args:
        scores: Finite float tensor, `(..., length)`.
        mask: Boolean tensor that broadcasts to `scores`.

    Returns:
        A tensor of the shape and dtype of `scores`. Each row sums to 1, or to 0 if it has no valid
        entry.

    >>> [float(v) for v in kr.ops.masked_softmax(np.array([1.0, 1.0, 5.0]),
    ...                                          np.array([True, True, False]))]
    [0.5, 0.5, 0.0]
    """
    scores, mask = ops.convert_to_tensor(scores), ops.cast(mask, "bool")
    dtype = wide(scores.dtype)
    # The mask is broadcast over many scores: an addition and a product are cheaper than two selects.
    weights = ops.softmax(ops.cast(scores, dtype) + mask_bias(mask, dtype), axis=-1)
    return ops.cast(weights * ops.cast(mask, dtype), scores.dtype)


def mask_bias(mask, dtype="float32"):
    """Returns a bias that, added to scores, gives masked entries a softmax weight of 0.

    Args:
        mask: Boolean tensor.
        dtype: Floating type of the scores, not float16.

    Returns:
        A tensor that is 0 where `mask` is true and -1e30 elsewhere. The softmax of a row without
        valid entries is uniform.

    >>> [float(v) for v in mask_bias(np.array([True, False]))]
    [0.0, -1.0000000150474662e+30]
    """
    mask = ops.cast(mask, "bool")
    return ops.where(mask, ops.zeros((), dtype), ops.full((), _FAR_BELOW, dtype))


def _max(values, axis):
    """Computes the maximum, with a gradient that stays finite under XLA.

    JAX computes the gradient of a maximum by comparing entries with it. XLA may recompute both
    sides of the comparison, one with a fused multiply-add and the other without. Then no entry is
    equal, and the gradient is 0 / 0. Here the first of equal entries receives the gradient; the
    other backends share it among them.
    """
    if keras.backend.backend() != "jax":
        return ops.max(values, axis=axis)
    index = ops.expand_dims(ops.argmax(values, axis=axis), axis)
    return ops.squeeze(ops.take_along_axis(values, index, axis=axis), axis)


def _align(x, mask):
    """Returns `x` and a boolean mask of the same rank as tensors."""
    x, mask = ops.convert_to_tensor(x), ops.cast(mask, "bool")
    while len(mask.shape) < len(x.shape):
        mask = ops.expand_dims(mask, -1)
    return x, mask
