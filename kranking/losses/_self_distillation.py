"""Self-distillation: each part of a model learns what the whole predicts."""

from collections.abc import Mapping
from typing import Any

from keras import ops

from kranking._core import check_number, serializable
from kranking.losses._weighted import batch_mean, crossentropy, tensor


@serializable
class SelfDistillation:
    """Adds each part's cross-entropy with the final prediction as its label.

    For every task the term is `weight Σ_p BCE(σ(z_p), sg σ(z))`: `z` is the final logit, `z_p` that of part
    `p`, and `sg` stops the gradient, so that the whole does not move towards its parts. The labels enter
    through the ordinary loss of the final logit alone. The term's least value is not 0 but the entropy of
    what the final logit predicts.

    Args:
        weight: Factor of the term; the paper has 1.

    Call arguments: labels `(batch, tasks)`, which are not read, final logits `(batch, tasks)`, a dict of
        the parts' logits `(batch, tasks)` and, if not all are 1, sample weights `(batch, tasks)`.
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
        """Gives `weight Σ_p BCE(σ(z_p), sg σ(z))` of every task."""
        teacher = ops.stop_gradient(ops.sigmoid(tensor(final)))
        parts = [batch_mean(crossentropy(teacher, z), sample_weight) for z in auxiliaries.values()]
        return self.weight * sum(parts, ops.zeros_like(teacher[0]))

    def get_config(self):
        """Gives the constructor's arguments."""
        return {"weight": self.weight}

    @classmethod
    def from_config(cls, config):
        """Makes the loss from `get_config`."""
        return cls(**config)
