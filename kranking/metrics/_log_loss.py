"""Logarithmic loss over an epoch, from logits."""

from keras import ops

from kranking._core import serializable
from kranking.metrics._weighted_sums import WeightedSums, cross_entropy, flat_batch, ratio


@serializable
class LogLoss(WeightedSums):
    """Mean logarithmic loss of a task's logits, in nats.

    `sum(w * (softplus(z) - y * z)) / sum(w)` over all rows since the last reset. Undefined, which
    is NaN, while no row has weight. Pass it as a *weighted* metric: Keras gives sample weights,
    and with them the mask of labels not observed, to no other.

    Args:
        name: Name of the metric, after the task's in the logs.
        dtype: Dtype of the sums. `None` is Keras's float type.

    Call arguments: labels `(batch,)` or `(batch, 1)`, logits `(batch, 1)`, weights like the labels.

    >>> metric = LogLoss()
    >>> metric.update_state(np.array([0.0, 1.0]), np.zeros((2, 1)))
    >>> bool(abs(metric.result() - np.log(2)) < 1e-6)
    True

    Reference: [scikit-learn, log loss](https://scikit-learn.org/stable/modules/model_evaluation.html#log-loss)
    """

    def __init__(self, name: str = "logloss", dtype=None):
        super().__init__((2,), name, dtype)

    def update_state(self, y_true, y_pred, sample_weight=None):
        labels, logits, weights = flat_batch(y_true, y_pred, sample_weight, self.dtype)
        loss = weights * cross_entropy(labels, logits)
        self.add(ops.stack([ops.sum(loss), ops.sum(weights)]))

    def result(self):
        loss, weight = ops.unstack(self.totals())
        return ratio(loss, weight)
