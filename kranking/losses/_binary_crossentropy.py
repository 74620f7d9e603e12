"""Binary cross-entropy of a task's logits."""

import keras

from kranking._core import serializable


@serializable
class BinaryCrossentropy(keras.losses.BinaryCrossentropy):
    """Binary cross-entropy from logits, the default loss of every task.

    For a logit `z` and a label `y` in [0, 1] the loss is `softplus(z) - y * z`. It is Keras's own
    loss with `from_logits=True` fixed, because the way through probabilities saturates, and at
    another value on each backend.

    A label that was not observed has sample weight 0. The weight multiplies the loss, so such a
    label must still be a finite number; kranking's readers write 0. With `sum_over_batch_size`
    the sum is divided by all rows of the batch, so an observed row counts the same whatever share
    of its batch is masked; `mean_with_sample_weight` divides by the sum of the weights instead.

    Args:
        label_smoothing: Share of each label, in [0, 1], that is moved to 0.5.
        reduction: Keras's name of the reduction over the batch.
        name: Name of the loss.
        dtype: Dtype of the computation. `None` is Keras's float type.

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
