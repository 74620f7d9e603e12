"""Logarithmic loss over an epoch."""

from keras import ops

from kranking._core import serializable
from kranking.metrics._weighted_sums import WeightedSums, ratio


@serializable
class LogLoss(WeightedSums):
    """Mean logarithmic loss of the predictions of a task, in nats.

    `-sum(w * (y * ln p + (1 - y) * ln(1 - p))) / sum(w)` over all rows since the last reset, computed from
    the logit `z` of `p` as `softplus(z) - y * z`. NaN (undefined) while no row has weight; infinite if what
    happened had a probability of exactly 0. Pass it as a *weighted* metric: Keras passes sample weights,
    and with them the mask of unobserved labels, to weighted metrics only.

    Args:
        name: Name of the metric; it follows the name of the task in the logs.
        dtype: Dtype of the sums. `None` means `keras.config.floatx()`.
        from_logits: Whether predictions are logits. A value outside [0, 1] is refused if they are
            probabilities; inside a compiled graph, which cannot raise, it makes the result NaN.

    Call arguments: labels `(batch,)` or `(batch, 1)`, predictions `(batch, 1)`, weights like labels.

    >>> metric = LogLoss()
    >>> metric.update_state(np.array([0.0, 1.0]), np.array([[0.5], [0.25]]))
    >>> bool(abs(metric.result() - np.log(8) / 2) < 1e-6)
    True

    Reference: [scikit-learn, log loss](https://scikit-learn.org/stable/modules/model_evaluation.html#log-loss)
    """

    _direction = "down"

    def __init__(self, name: str = "logloss", dtype=None, from_logits: bool = False):
        super().__init__((2,), name, dtype, from_logits)

    def update_state(self, y_true, y_pred, sample_weight=None):
        labels, scores, weights = self.rows(y_true, y_pred, sample_weight)
        loss = weights * self.cross_entropy(labels, scores)
        self.add(ops.stack([ops.sum(loss), ops.sum(weights)]))

    def result(self):
        loss, weight = ops.unstack(self.totals())
        return ratio(loss, weight)
