"""Calibration over an epoch, from logits."""

from keras import ops

from kranking._core import serializable
from kranking.metrics._weighted_sums import WeightedSums, flat_batch, ratio


@serializable
class Calibration(WeightedSums):
    """Predicted number of actions divided by the observed number.

    `sum(w * sigmoid(z)) / sum(w * y)`: 1 is ideal, larger values are overconfident. NaN (undefined)
    while no positive row has weight. Pass it as a *weighted* metric.

    Args:
        name: Name of the metric; it follows the name of the task in the logs.
        dtype: Dtype of the sums. `None` means `keras.config.floatx()`.

    Call arguments: labels `(batch,)` or `(batch, 1)`, logits `(batch, 1)`, weights shaped like the labels.

    >>> metric = Calibration()
    >>> metric.update_state(np.array([0.0, 1.0, 0.0, 0.0]), np.zeros((4, 1)))
    >>> float(metric.result())
    2.0

    Reference: [He et al., 2014, section 2](https://doi.org/10.1145/2648584.2648589)
    """

    def __init__(self, name: str = "calibration", dtype=None):
        super().__init__((2,), name, dtype)

    def update_state(self, y_true, y_pred, sample_weight=None):
        labels, logits, weights = flat_batch(y_true, y_pred, sample_weight, self.dtype)
        self.add(ops.stack([ops.sum(weights * ops.sigmoid(logits)), ops.sum(weights * labels)]))

    def result(self):
        expected, observed = ops.unstack(self.totals())
        return ratio(expected, observed)
