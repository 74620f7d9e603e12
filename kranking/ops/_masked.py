"""Reductions over the valid entries of an axis, which give 0 where none is valid."""

import keras
from keras import ops

from kranking.ops._precision import wide

# A finite stand-in for minus infinity: softmax over a row of infinities is NaN on every backend.
_LOWEST = -3.0e38
_FAR_BELOW = -1.0e30  # swallows any score, and can be added to one


def masked_sum(x, mask, axis: int = 1):
    """Sums the entries of `x` whose `mask` is true.

    Args:
        x: Float tensor, `(batch, length, ...)`.
        mask: Boolean tensor, `(batch, length)`, or of the rank of `x`.
        axis: Axis to reduce, counted from the front.

    Returns:
        `x` without `axis`; 0 where no entry is valid. What invalid entries hold, NaN included,
        reaches neither the result nor its gradient.

    >>> float(kr.ops.masked_sum(np.array([[1.0, 2.0, 9.0]]), np.array([[True, True, False]]))[0])
    3.0
    """
    x, mask = _align(x, mask)
    values = ops.where(mask, ops.cast(x, wide(x.dtype)), 0.0)
    return ops.cast(ops.sum(values, axis=axis), x.dtype)


def masked_mean(x, mask, axis: int = 1):
    """Averages the entries of `x` whose `mask` is true; 0 where there is none.

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
    """Takes the largest entry of `x` whose `mask` is true; 0 where there is none.

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
    """Normalizes `exp(scores)` over the last axis among valid entries; 0 elsewhere.

    Args:
        scores: Finite float tensor, `(..., length)`.
        mask: Boolean tensor that broadcasts to `scores`.

    Returns:
        Weights of the shape and dtype of `scores`, which sum to 1, or to 0 in a row without a
        valid entry.

    >>> [float(v) for v in kr.ops.masked_softmax(np.array([1.0, 1.0, 5.0]),
    ...                                          np.array([True, True, False]))]
    [0.5, 0.5, 0.0]
    """
    scores, mask = ops.convert_to_tensor(scores), ops.cast(mask, "bool")
    dtype = wide(scores.dtype)
    # The mask is small and the scores are many: a sum and a product cost them less than two choices.
    weights = ops.softmax(ops.cast(scores, dtype) + mask_bias(mask, dtype), axis=-1)
    return ops.cast(weights * ops.cast(mask, dtype), scores.dtype)


def mask_bias(mask, dtype="float32"):
    """Returns what, added to scores, leaves those of valid entries and takes the others' weight away.

    Args:
        mask: Boolean tensor.
        dtype: Floating type of the scores, not float16.

    Returns:
        0 where `mask` is true and -1e30 elsewhere. A row without a valid entry is left even by a softmax.

    >>> [float(v) for v in kr.ops.mask_bias(np.array([True, False]))]
    [0.0, -1.0000000150474662e+30]
    """
    mask = ops.cast(mask, "bool")
    return ops.where(mask, ops.zeros((), dtype), ops.full((), _FAR_BELOW, dtype))


def _max(values, axis):
    """Takes the maximum, with a gradient that XLA cannot spoil.

    JAX's gradient of a maximum looks for the entries equal to it. XLA may compute both sides anew, the
    one with a fused multiply-add and the other without: then none is equal, and 0 / 0 is NaN. Of equal
    entries the first has the gradient here; elsewhere they share it.
    """
    if keras.backend.backend() != "jax":
        return ops.max(values, axis=axis)
    index = ops.expand_dims(ops.argmax(values, axis=axis), axis)
    return ops.squeeze(ops.take_along_axis(values, index, axis=axis), axis)


def _align(x, mask):
    """Returns both as tensors, the mask boolean and of the rank of `x`."""
    x, mask = ops.convert_to_tensor(x), ops.cast(mask, "bool")
    while len(mask.shape) < len(x.shape):
        mask = ops.expand_dims(mask, -1)
    return x, mask
