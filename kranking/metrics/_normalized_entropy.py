"""Normalized entropy over an epoch."""

from keras import ops

from kranking._core import serializable
from kranking.metrics._weighted_sums import WeightedSums, ratio


@serializable
class NormalizedEntropy(WeightedSums):
    """Log loss of a task relative to the log loss of always predicting its base rate.

    `logloss / H(q)` with `q = sum(w * y) / sum(w)` over the *same* weighted rows and
    `H(q) = -q ln q - (1 - q) ln(1 - q)`: 1 is the best constant, lower is better. NaN (undefined)
    while all labels are equal or no row has weight. Pass it as a *weighted* metric.

    Args:
        name: Name of the metric; it follows the name of the task in the logs.
        dtype: Dtype of the sums. `None` means `keras.config.floatx()`.
        from_logits: Whether predictions are logits. A value outside [0, 1] is refused if they are
            probabilities; inside a compiled graph, which cannot raise, it makes the result NaN.

    Call arguments: labels `(batch,)` or `(batch, 1)`, predictions `(batch, 1)`, weights like labels.

    >>> metric = NormalizedEntropy()
    >>> metric.update_state(np.array([0.0, 1.0, 0.0, 0.0]), np.full((4, 1), 0.25))
    >>> bool(abs(metric.result() - 1.0) < 1e-6)
    True

    Reference: [He et al., 2014, section 2](https://doi.org/10.1145/2648584.2648589)
    """

    _direction = "down"

    def __init__(self, name: str = "ne", dtype=None, from_logits: bool = False):
        super().__init__((3,), name, dtype, from_logits)

    def update_state(self, y_true, y_pred, sample_weight=None):
        labels, scores, weights = self.rows(y_true, y_pred, sample_weight)
        terms = [self.cross_entropy(labels, scores), labels, 1 - labels]
        self.add(ops.stack([ops.sum(weights * term) for term in terms]))

    def result(self):
        # Both classes are summed: 1 - q would lose precision for rare negatives.
        loss, positive, negative = ops.unstack(self.totals())
        entropy = _surprise(positive, negative) + _surprise(negative, positive)
        return ratio(loss, entropy)


def _surprise(part, rest):
    """Computes `part * ln((part + rest) / part)`, 0 where `part` is 0, to full precision."""
    empty = ops.equal(part, 0)
    return part * ops.log1p(rest / ops.where(empty, 1, part))
