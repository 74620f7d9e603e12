"""Calibration over an epoch."""

from keras import ops

from kranking._core import serializable
from kranking.metrics._weighted_sums import WeightedSums, ratio


@serializable
class Calibration(WeightedSums):
    """Predicted number of actions divided by the observed number.

    `sum(w * p) / sum(w * y)` with probabilities `p`: 1 is ideal, larger values are overconfident. NaN
    (undefined) while no positive row has weight. Pass it as a *weighted* metric.

    Args:
        name: Name of the metric; it follows the name of the task in the logs.
        dtype: Dtype of the sums. `None` means `keras.config.floatx()`.
        from_logits: Whether predictions are logits. A value outside [0, 1] is refused if they are
            probabilities; inside a compiled graph, which cannot raise, it makes the result NaN.

    Call arguments: labels `(batch,)` or `(batch, 1)`, predictions `(batch, 1)`, weights like labels.

    >>> metric = Calibration()
    >>> metric.update_state(np.array([0.0, 1.0, 0.0, 0.0]), np.full((4, 1), 0.5))
    >>> float(metric.result())
    2.0

    Reference: [He et al., 2014, section 2](https://doi.org/10.1145/2648584.2648589)
    """

    def __init__(self, name: str = "calibration", dtype=None, from_logits: bool = False):
        super().__init__((2,), name, dtype, from_logits)

    def update_state(self, y_true, y_pred, sample_weight=None):
        labels, scores, weights = self.rows(y_true, y_pred, sample_weight)
        expected = ops.sigmoid(scores) if self.from_logits else scores
        self.add(ops.stack([ops.sum(weights * expected), ops.sum(weights * labels)]))

    def result(self):
        expected, observed = ops.unstack(self.totals())
        return ratio(expected, observed)
