"""SDCNv3."""

from collections.abc import Iterable
from typing import Any

from kranking import layers
from kranking.architectures._registry import Hyperparameter, architecture
from kranking.features import Feature, Task
from kranking.models import RankingModel


@architecture(
    paper="Li et al., DCNv3, later FCN, 2024, https://arxiv.org/abs/2407.13349",
    hyperparameters=[
        Hyperparameter("num_deep_cross_layers", low=1, high=5, default=4),
        Hyperparameter("num_shallow_cross_layers", low=1, high=8, default=4),
        Hyperparameter("deep_net_dropout", low=0.0, high=0.5, default=0.1),
        Hyperparameter("shallow_net_dropout", low=0.0, high=0.5, default=0.3),
    ],
)
def sdcn_v3(
    features: Iterable[Feature],
    tasks: Iterable[Task],
    *,
    num_deep_cross_layers: int = 4,
    num_shallow_cross_layers: int = 4,
    deep_net_dropout: float = 0.1,
    shallow_net_dropout: float = 0.3,
    layer_norm: bool = True,
    bias_initializer: Any = "zeros",
    auxiliary_loss: Any = "tri_bce",
) -> RankingModel:
    """Two cross networks without an MLP: the degree doubles per step in one and grows by one in the other.

    Deep: `x[l+1] = x[l] ⊙ (c ‖ c ⊙ mask + b[l]) + x[l]`; shallow: `x[l+1] = x[0] ⊙ (…) + x[l]`; with
    `c = x[l] A[l]`, half as wide, and `mask = ReLU(LN(c))`. `logit_t` is the mean of one linear logit per
    network, and each network has an additional loss (`kranking.losses.TriBCE`). The input of both is the
    first halves of all fields followed by the second halves (see `kranking.layers.FieldHalves`, also for
    the treatment of numbers). The total field width must be at least 4.

    The deep network is a polynomial of degree `2^L` in its fields. In the paper all fields are embeddings,
    which start small, so the initial logits are close to 0. Plain numbers of unit variance are not small:
    if they are most of the width, the logits, and with them the loss, start in the hundreds or higher. Use
    `transform="bucketize"` to embed such numbers, or use fewer deep steps.

    Args:
        features: Fitted feature declarations.
        tasks: Tasks to predict.
        num_deep_cross_layers: Number of steps L of the deep network.
        num_shallow_cross_layers: Number of steps of the shallow network.
        deep_net_dropout: Dropout rate after each step of the deep network.
        shallow_net_dropout: Dropout rate after each step of the shallow network.
        layer_norm: Whether to use layer normalization in the masks.
        bias_initializer: Initializer of the biases of the cross networks. The authors' code uses
            `keras.initializers.RandomUniform(0, 1)`.
        auxiliary_loss: Loss on the logits of both networks, as in `kranking.layers.MeanHeads`; `None` for
            no auxiliary loss.

    >>> country = kr.features.Categorical("country", vocabulary=("DE", "FR"), embedding_dim=8)
    >>> sdcn_v3([country], [kr.Task("save")]).name
    'sdcn_v3'
    """
    options = {"layer_norm": layer_norm, "bias_initializer": bias_initializer}
    deep = layers.ExponentialCrossNetwork(num_deep_cross_layers, deep_net_dropout, **options)
    shallow = layers.LinearCrossNetwork(num_shallow_cross_layers, shallow_net_dropout, **options)
    blocks = [layers.FieldHalves(), layers.Parallel([deep, shallow])]
    heads = layers.MeanHeads(auxiliary_loss=auxiliary_loss)
    return RankingModel(features, blocks, tasks, heads=heads, name="sdcn_v3")
