"""Tri-BCE: each part of a model has a loss of its own, as far as it is behind the whole."""

from collections.abc import Mapping
from typing import Any

from keras import ops

from kranking._core import serializable
from kranking.losses._weighted import batch_mean, crossentropy, observed_mean


@serializable
class TriBCE:
    """Adds each part's binary cross-entropy, weighted by how far the part is behind the final logit.

    For every task the term is `Σ_p w_p L_p` with `w_p = max(0, L_p - L)`: `L` is the cross-entropy of the
    final logit, `L_p` that of part `p`. `L` itself, the paper's first term, is the task's ordinary loss
    and not in here. The paper has two parts, "deep" and "shallow"; any number will do.

    `w_p` compares means over the rows in which the task was observed, so that it does not shrink with
    their share, while `L_p` is divided by all rows as the ordinary loss is. Multiplying all sample weights
    by a number multiplies the term by it.

    Args:
        stop_gradient: Takes `w_p` as a number. The paper does not say; in the authors' code the gradient
            flows through it, as with `False`. The slope of all three terms along `L` is then
            `1 - Σ L_p` over the parts that are behind. Where training starts these losses exceed 1
            together, so that it would push the final loss up.

    Call arguments: labels `(batch, tasks)`, final logits `(batch, tasks)`, a dict of the parts' logits
        `(batch, tasks)` and, if not all are 1, sample weights `(batch, tasks)`.
    Output shape: `(tasks,)`.

    >>> y, final = np.array([[1.0]], "float32"), np.array([[2.0]], "float32")
    >>> loss = kr.losses.TriBCE()
    >>> tuple(loss(y, final, {"deep": final - 1, "shallow": final + 1}).shape)
    (1,)
    >>> float(loss(y, final, {"deep": final, "shallow": final})[0])
    0.0

    Reference: [Li et al., 2024, section on Tri-BCE](https://arxiv.org/abs/2407.13349)
    """

    def __init__(self, stop_gradient: bool = True):
        self.stop_gradient = bool(stop_gradient)

    def __call__(
        self, labels: Any, final: Any, auxiliaries: Mapping[str, Any], sample_weight: Any = None
    ) -> Any:
        """Gives `Σ_p w_p L_p` of every task."""
        whole = observed_mean(crossentropy(labels, final), sample_weight)
        total = ops.zeros_like(whole)
        for logits in auxiliaries.values():
            losses = crossentropy(labels, logits)
            behind = ops.relu(observed_mean(losses, sample_weight) - whole)
            if self.stop_gradient:
                behind = ops.stop_gradient(behind)
            total = total + behind * batch_mean(losses, sample_weight)
        return total

    def get_config(self):
        """Gives the constructor's arguments."""
        return {"stop_gradient": self.stop_gradient}

    @classmethod
    def from_config(cls, config):
        """Makes the loss from `get_config`."""
        return cls(**config)
