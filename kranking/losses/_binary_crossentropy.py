"""Binary cross-entropy on the logits of a task."""

import keras

from kranking._core import serializable


@serializable
class BinaryCrossentropy(keras.losses.BinaryCrossentropy):
    """Binary cross-entropy from logits, the default loss of every task.

    For a logit `z` and a label `y` in [0, 1] the loss is `softplus(z) - y * z`. This is
    `keras.losses.BinaryCrossentropy` with `from_logits=True` fixed: computing the loss from
    probabilities saturates, and at a different value on each backend.

    An unobserved label has sample weight 0. The weight multiplies the loss, so the label must still
    be a finite number; the readers in kranking write 0. With `sum_over_batch_size` the sum is divided
    by the number of rows in the batch, so an observed row counts the same no matter how much of its
    batch is masked; `mean_with_sample_weight` divides by the sum of the weights instead.

    Args:
        label_smoothing: Fraction in [0, 1] by which labels are moved toward 0.5.
        reduction: Reduction over the batch, as in Keras losses.
        name: Name of the loss.
        dtype: Dtype of the computation. `None` means `keras.config.floatx()`.

    Call arguments: labels `(batch,)` or `(batch, 1)`, logits `(batch, 1)`.

    >>> loss = BinaryCrossentropy()
    >>> bool(abs(loss(np.array([0.0, 1.0]), np.array([[200.0], [200.0]])) - 100.0) < 1e-4)
    True

    Reference: [scikit-learn, log loss](https://scikit-learn.org/stable/modules/model_evaluation.html#log-loss)
    """

    def __init__(
        self,
        label_smoothing: float = 0.0,
        reduction: str | None = "sum_over_batch_size",
        name: str = "binary_crossentropy",
        dtype=None,
    ):
        super().__init__(
            from_logits=True,
            label_smoothing=label_smoothing,
            reduction=reduction,
            name=name,
            dtype=dtype,
        )

    def get_config(self):
        config = super().get_config()
        return {key: config[key] for key in ("label_smoothing", "reduction", "name")}
