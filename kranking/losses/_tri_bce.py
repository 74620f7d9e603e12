"""Tri-BCE: a loss for each part of a model, weighted by how much worse the part is than the whole."""

from collections.abc import Mapping
from typing import Any

from keras import ops

from kranking._core import serializable
from kranking.losses._weighted import batch_mean, crossentropy, observed_mean


@serializable
class TriBCE:
    """Binary cross-entropy of each part, weighted by how much worse the part is than the final logit.

    For every task the loss is `Σ_p w_p L_p` with `w_p = max(0, L_p - L)`, where `L` is the cross-entropy
    of the final logit and `L_p` that of part `p`. `L` itself, the first term in the paper, is the task's
    own loss and is not included here. The paper has two parts, "deep" and "shallow"; any number works.

    `w_p` compares means over the rows in which the task was observed, so it does not shrink when few rows
    are observed, whereas `L_p` is divided by the number of all rows, as the task's own loss is. Scaling
    all sample weights by a factor scales this loss by the same factor.

    Args:
        stop_gradient: Whether `w_p` is treated as a constant. The paper does not specify it; in the
            authors' code the gradient flows through `w_p`, which corresponds to `False`. The derivative
            of all three terms with respect to `L` is then `1 - Σ L_p` over the parts that are worse.
            At the start of training the sum of these losses exceeds 1, so the gradient would push the
            final loss up.

    Call arguments: labels `(batch, tasks)`; final logits `(batch, tasks)`; a dict of the parts' logits,
        each `(batch, tasks)`; optionally sample weights `(batch, tasks)`.
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
        """Computes `Σ_p w_p L_p` for every task."""
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
        """Returns the constructor arguments."""
        return {"stop_gradient": self.stop_gradient}

    @classmethod
    def from_config(cls, config):
        """Creates the loss from the output of `get_config`."""
        return cls(**config)
