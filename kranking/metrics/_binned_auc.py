"""Area under the ROC curve over an epoch, from a histogram of logits."""

from keras import ops

from kranking._core import check_positive_int, serializable
from kranking.metrics._weighted_sums import WeightedSums, ratio

# sigmoid(15) is 1 - 3e-7; beyond it, float32 probabilities differ only in their last digits.
_LIMIT = 15.0


@serializable
class BinnedAUC(WeightedSums):
    """Area under the ROC curve from a histogram of the logits of each class.

    `AUC = sum(P[b] * (N[0] + ... + N[b-1] + N[b] / 2))`, where `P[b]` and `N[b]` are the fractions of
    the positive and the negative weight in bin `b`. The bins have equal width *in logits* over
    [-15, 15], and the outer bins include everything beyond, so a rare action keeps its resolution.
    Two rows in one bin count as a tie. The exact value is therefore at most `error_bound()`, that is
    `sum(P[b] * N[b]) / 2`, away; float32 adds about 1e-6.

    The result is NaN (undefined) while a class has no weight, and after a NaN prediction. Pass it as a
    *weighted* metric. For the exact value use `kranking.training.RankingEvaluation`.

    Args:
        num_bins: Number of bins. Positive integer.
        name: Name of the metric; it follows the name of the task in the logs.
        dtype: Dtype of the sums. `None` means `keras.config.floatx()`.
        from_logits: Whether predictions are logits. A value outside [0, 1] is refused if they are
            probabilities; inside a compiled graph, which cannot raise, it makes the result NaN.

    Call arguments: labels `(batch,)` or `(batch, 1)`, predictions `(batch, 1)`, weights like labels.

    >>> metric = BinnedAUC(num_bins=1000)
    >>> metric.update_state(np.array([0.0, 0.0, 1.0, 1.0]), np.array([[0.1], [0.7], [0.6], [0.9]]))
    >>> bool(abs(metric.result() - 0.75) < 1e-6)
    True

    Reference: [Fawcett, 2006](https://doi.org/10.1016/j.patrec.2005.10.010)
    """

    _direction = "up"

    def __init__(
        self,
        num_bins: int = 2000,
        name: str = "binned_auc",
        dtype=None,
        from_logits: bool = False,
    ):
        check_positive_int("num_bins", num_bins)
        super().__init__((num_bins, 2), name, dtype, from_logits)
        self.num_bins = num_bins

    def update_state(self, y_true, y_pred, sample_weight=None):
        labels, scores, weights = self.rows(y_true, y_pred, sample_weight)
        # A probability of 0 or 1 is an infinite logit, which is in an outer bin.
        logits = scores if self.from_logits else ops.log(scores) - ops.log1p(-scores)
        nan = ops.isnan(logits)  # no bin: its NaN weight goes into the first one
        position = (ops.where(nan, 0, logits) + _LIMIT) * (self.num_bins / (2 * _LIMIT))
        bins = ops.cast(ops.clip(position, 0, self.num_bins - 1), "int32")
        weights = ops.where(nan, float("nan"), weights)
        rows = ops.stack([weights * labels, weights * (1 - labels)], axis=-1)
        self.add(ops.segment_sum(rows, bins, num_segments=self.num_bins))

    def result(self):
        positive, negative = self._shares()
        return ops.sum(positive * (ops.cumsum(negative) - negative / 2))

    def error_bound(self):
        """Returns an upper bound on the distance to the exact AUC of the rows seen so far."""
        positive, negative = self._shares()
        return ops.sum(positive * negative) / 2

    def get_config(self):
        return {**super().get_config(), "num_bins": self.num_bins}

    def _shares(self):
        histogram = self.totals()
        shares = ratio(histogram, ops.sum(histogram, axis=0, keepdims=True))
        return shares[:, 0], shares[:, 1]
