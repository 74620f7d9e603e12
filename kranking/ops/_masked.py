"""Reductions over the valid entries of an axis, which give 0 where none is valid."""

from keras import ops

from kranking.ops._precision import wide

# A finite stand-in for minus infinity: softmax over a row of infinities is NaN on every backend.
_LOWEST = -3.0e38


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
    largest = ops.max(values, axis=axis)
    some = ops.any(ops.logical_and(mask, ops.ones_like(x, dtype="bool")), axis=axis)
    return ops.cast(ops.where(some, largest, 0.0), x.dtype)


def masked_softmax(scores, mask):
    """Normalises `exp(scores)` over the last axis among valid entries; 0 elsewhere.

    Args:
        scores: Float tensor, `(..., length)`.
        mask: Boolean tensor that broadcasts to `scores`.

    Returns:
        Weights of the shape and dtype of `scores`, which sum to 1, or to 0 in a row without a
        valid entry.

    >>> [float(v) for v in kr.ops.masked_softmax(np.array([1.0, 1.0, 5.0]),
    ...                                          np.array([True, True, False]))]
    [0.5, 0.5, 0.0]
    """
    scores, mask = ops.convert_to_tensor(scores), ops.cast(mask, "bool")
    values = ops.where(mask, ops.cast(scores, wide(scores.dtype)), _LOWEST)
    weights = ops.where(mask, ops.softmax(values, axis=-1), 0.0)
    return ops.cast(weights, scores.dtype)


def _align(x, mask):
    """Gives both as tensors, the mask boolean and of the rank of `x`."""
    x, mask = ops.convert_to_tensor(x), ops.cast(mask, "bool")
    while len(mask.shape) < len(x.shape):
        mask = ops.expand_dims(mask, -1)
    return x, mask
