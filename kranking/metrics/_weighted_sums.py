"""Sums over an epoch that neither stall nor drift in float32."""

import keras
import numpy as np
from keras import ops

from kranking._core import check_choice
from kranking.metrics._checks import check_probabilities


class WeightedSums(keras.metrics.Metric):
    """Base class of the metrics of a task: sums terms over rows; the result is a function of the sums.

    A plain float32 sum of ones stops growing at 2**24 rows. Each sum is therefore stored together
    with the rounding error of its additions (Knuth's TwoSum, which needs no comparison), for a
    precision of about 48 bits. Both parts stay linear until the end, so replicas can be summed.
    """

    def __init__(self, shape: tuple[int, ...], name: str, dtype=None, from_logits: bool = False):
        check_choice("from_logits", from_logits, (True, False))
        super().__init__(name=name, dtype=dtype)
        self.from_logits = from_logits
        self.sums = self.add_variable(shape, "zeros", dtype=self.dtype, name="sums")
        self.lost = self.add_variable(shape, "zeros", dtype=self.dtype, name="lost")

    def rows(self, y_true, y_pred, sample_weight):
        """Returns labels, scores and weights as three `(batch,)` tensors of one dtype.

        Rows of weight 0 get label 0 and the score of no opinion, so that a masked row contributes
        exactly nothing, even if it contains NaN. A value that is no probability becomes NaN, unless it
        is on the host, where it is refused.
        """
        if not self.from_logits and isinstance(y_pred, np.ndarray | list | tuple):
            check_probabilities(y_pred, sample_weight)
        scores = ops.reshape(ops.cast(y_pred, self.dtype), (-1,))
        shape = ops.shape(scores)  # other label or weight counts fail here, not broadcast
        labels = ops.reshape(ops.cast(y_true, self.dtype), shape)
        if not self.from_logits:
            inside = ops.logical_and(scores >= 0, scores <= 1)
            scores = ops.where(inside, scores, float("nan"))
        if sample_weight is None:
            return labels, scores, ops.ones_like(scores)
        weights = ops.reshape(ops.cast(sample_weight, self.dtype), shape)
        masked = ops.equal(weights, 0)
        even = 0 if self.from_logits else 0.5
        return ops.where(masked, 0, labels), ops.where(masked, even, scores), weights

    def cross_entropy(self, labels, scores):
        """Computes the loss of each row; infinite for a probability of 0 of what happened."""
        if self.from_logits:
            # softplus(z) - y z, without cancellation at large z and y = 1
            return ops.relu(scores) - labels * scores + ops.softplus(-ops.abs(scores))
        positive = ops.where(ops.equal(labels, 0), 0, labels * ops.log(scores))
        negative = ops.where(ops.equal(labels, 1), 0, (1 - labels) * ops.log1p(-scores))
        return -(positive + negative)

    def get_config(self):
        return {**super().get_config(), "from_logits": self.from_logits}

    @classmethod
    def from_config(cls, config):
        # Files without the entry are of a time when there were metrics on logits only.
        return cls(**{"from_logits": True, **config})

    def add(self, batch_sums):
        """Adds the sums of one batch, which have the shape given to the constructor."""
        old = ops.convert_to_tensor(self.sums)
        new = old + batch_sums
        added = new - old
        error = (old - (new - added)) + (batch_sums - added)
        self.sums.assign(new)
        # An infinite loss stays infinite, whose error would be NaN.
        self.lost.assign(self.lost + ops.where(ops.isfinite(new), error, 0))

    def totals(self):
        """Returns the sums so far."""
        return self.sums + self.lost


def ratio(numerator, denominator):
    """Computes the quotient; NaN (undefined) where the denominator is 0."""
    safe = ops.where(ops.equal(denominator, 0), 1, denominator)
    return ops.where(ops.equal(denominator, 0), float("nan"), numerator / safe)
