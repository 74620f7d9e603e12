"""Logarithmic loss over an epoch, from logits."""

from keras import ops

from kranking._core import serializable
from kranking.metrics._weighted_sums import WeightedSums, cross_entropy, flat_batch, ratio


@serializable
class LogLoss(WeightedSums):
    """Mean logarithmic loss of the logits of a task, in nats.

    `sum(w * (softplus(z) - y * z)) / sum(w)` over all rows since the last reset. NaN (undefined)
    while no row has weight. Pass it as a *weighted* metric: Keras passes sample weights, and with
    them the mask of unobserved labels, to weighted metrics only.

    Args:
        name: Name of the metric; it follows the name of the task in the logs.
        dtype: Dtype of the sums. `None` means `keras.config.floatx()`.

    Call arguments: labels `(batch,)` or `(batch, 1)`, logits `(batch, 1)`, weights shaped like the labels.

    >>> metric = LogLoss()
    >>> metric.update_state(np.array([0.0, 1.0]), np.zeros((2, 1)))
    >>> bool(abs(metric.result() - np.log(2)) < 1e-6)
    True

    Reference: [scikit-learn, log loss](https://scikit-learn.org/stable/modules/model_evaluation.html#log-loss)
    """

    _direction = "down"

    def __init__(self, name: str = "logloss", dtype=None):
        super().__init__((2,), name, dtype)

    def update_state(self, y_true, y_pred, sample_weight=None):
        labels, logits, weights = flat_batch(y_true, y_pred, sample_weight, self.dtype)
        loss = weights * cross_entropy(labels, logits)
        self.add(ops.stack([ops.sum(loss), ops.sum(weights)]))

    def result(self):
        loss, weight = ops.unstack(self.totals())
        return ratio(loss, weight)
