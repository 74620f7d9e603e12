"""Sums over an epoch that neither stall nor drift in float32."""

import keras
from keras import ops


def flat_batch(y_true, y_pred, sample_weight, dtype):
    """Returns labels, logits and weights as three `(batch,)` tensors of one dtype.

    Rows of weight 0 get label 0 and logit 0, so that a masked row contributes exactly nothing, even
    if it contains NaN.
    """
    logits = ops.reshape(ops.cast(y_pred, dtype), (-1,))
    shape = ops.shape(logits)  # other label or weight counts fail here, not broadcast
    labels = ops.reshape(ops.cast(y_true, dtype), shape)
    if sample_weight is None:
        return labels, logits, ops.ones_like(logits)
    weights = ops.reshape(ops.cast(sample_weight, dtype), shape)
    masked = ops.equal(weights, 0)
    return ops.where(masked, 0, labels), ops.where(masked, 0, logits), weights


class WeightedSums(keras.metrics.Metric):
    """Base class of the metrics on logits: sums terms over rows; the result is a function of the sums.

    A plain float32 sum of ones stops growing at 2**24 rows. Each sum is therefore stored together
    with the rounding error of its additions (Knuth's TwoSum, which needs no comparison), for a
    precision of about 48 bits. Both parts stay linear until the end, so replicas can be summed.
    """

    def __init__(self, shape: tuple[int, ...], name: str, dtype=None):
        super().__init__(name=name, dtype=dtype)
        self.sums = self.add_variable(shape, "zeros", dtype=self.dtype, name="sums")
        self.lost = self.add_variable(shape, "zeros", dtype=self.dtype, name="lost")

    def add(self, batch_sums):
        """Adds the sums of one batch, which have the shape given to the constructor."""
        old = ops.convert_to_tensor(self.sums)
        new = old + batch_sums
        added = new - old
        error = (old - (new - added)) + (batch_sums - added)
        self.sums.assign(new)
        self.lost.assign(self.lost + error)

    def totals(self):
        """Returns the sums so far."""
        return self.sums + self.lost


def ratio(numerator, denominator):
    """Computes the quotient; NaN (undefined) where the denominator is 0."""
    safe = ops.where(ops.equal(denominator, 0), 1, denominator)
    return ops.where(ops.equal(denominator, 0), float("nan"), numerator / safe)


def cross_entropy(labels, logits):
    """Computes `softplus(z) - y z` for each row without cancellation at large `z` and `y = 1`."""
    return ops.relu(logits) - labels * logits + ops.softplus(-ops.abs(logits))
