"""Sums over an epoch that neither stall nor drift in float32."""

import keras
from keras import ops


def flat_batch(y_true, y_pred, sample_weight, dtype):
    """Gives labels, logits and weights as three `(batch,)` tensors of one dtype.

    Rows of weight 0 get label 0 and logit 0, so that whatever stands in a masked row, NaN
    included, adds exactly nothing.
    """
    logits = ops.reshape(ops.cast(y_pred, dtype), (-1,))
    shape = ops.shape(logits)  # a label or weight too many fails here, instead of broadcasting
    labels = ops.reshape(ops.cast(y_true, dtype), shape)
    if sample_weight is None:
        return labels, logits, ops.ones_like(logits)
    weights = ops.reshape(ops.cast(sample_weight, dtype), shape)
    masked = ops.equal(weights, 0)
    return ops.where(masked, 0, labels), ops.where(masked, 0, logits), weights


class WeightedSums(keras.metrics.Metric):
    """Base of the metrics on logits: adds up terms of each row, and gives a function of the sums.

    A plain float32 sum of ones stops growing at 2**24 rows. Each sum is therefore kept with the
    rounding error of its additions (Knuth's TwoSum, which needs no comparison), good for about
    48 bits. The result is linear in both parts until the end, so replicas may be summed.
    """

    def __init__(self, shape: tuple[int, ...], name: str, dtype=None):
        super().__init__(name=name, dtype=dtype)
        self.sums = self.add_variable(shape, "zeros", dtype=self.dtype, name="sums")
        self.lost = self.add_variable(shape, "zeros", dtype=self.dtype, name="lost")

    def add(self, batch_sums):
        """Adds one batch's sums, of the shape given to the constructor."""
        old = ops.convert_to_tensor(self.sums)
        new = old + batch_sums
        added = new - old
        error = (old - (new - added)) + (batch_sums - added)
        self.sums.assign(new)
        self.lost.assign(self.lost + error)

    def totals(self):
        """Gives the sums so far."""
        return self.sums + self.lost


def ratio(numerator, denominator):
    """Gives the quotient, or NaN, which reads "undefined", where the denominator is 0."""
    safe = ops.where(ops.equal(denominator, 0), 1, denominator)
    return ops.where(ops.equal(denominator, 0), float("nan"), numerator / safe)


def cross_entropy(labels, logits):
    """Gives `softplus(z) - y z` of each row, without the cancellation at large `z`, `y = 1`."""
    return ops.relu(logits) - labels * logits + ops.softplus(-ops.abs(logits))
