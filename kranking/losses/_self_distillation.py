"""Self-distillation: each part of a model learns to predict what the whole model predicts."""

from collections.abc import Mapping
from typing import Any

from keras import ops

from kranking._core import check_number, serializable
from kranking.losses._weighted import batch_mean, crossentropy, tensor


@serializable
class SelfDistillation:
    """Cross-entropy of each part's prediction against the final prediction.

    For every task the loss is `weight Σ_p BCE(σ(z_p), sg σ(z))`, where `z` is the final logit, `z_p` the
    logit of part `p`, and `sg` stops the gradient so that the final prediction does not move toward the
    parts. The labels act only through the task's own loss on the final logit. The minimum of this loss is
    not 0 but the entropy of the final prediction.

    Args:
        weight: Factor of the loss. The paper uses 1.

    Call arguments: labels `(batch, tasks)`, which are ignored; final logits `(batch, tasks)`; a dict of
        the parts' logits, each `(batch, tasks)`; optionally sample weights `(batch, tasks)`.
    Output shape: `(tasks,)`.

    >>> zero = np.zeros((1, 1), "float32")
    >>> value = kr.losses.SelfDistillation()(zero, zero, {"left": zero, "right": zero})
    >>> bool(abs(value[0] - 2 * np.log(2)) < 1e-6)
    True

    Reference: [Zhu et al., 2023](https://doi.org/10.1145/3539618.3591988)
    """

    def __init__(self, weight: float = 1.0):
        check_number("weight", weight, low=0.0)
        self.weight = weight

    def __call__(
        self, labels: Any, final: Any, auxiliaries: Mapping[str, Any], sample_weight: Any = None
    ) -> Any:
        """Computes `weight Σ_p BCE(σ(z_p), sg σ(z))` for every task."""
        teacher = ops.stop_gradient(ops.sigmoid(tensor(final)))
        parts = [batch_mean(crossentropy(teacher, z), sample_weight) for z in auxiliaries.values()]
        return self.weight * sum(parts, ops.zeros_like(teacher[0]))

    def get_config(self):
        """Returns the constructor arguments."""
        return {"weight": self.weight}

    @classmethod
    def from_config(cls, config):
        """Creates the loss from the output of `get_config`."""
        return cls(**config)
