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
    """Two cross networks and no MLP: one doubles the degree per step, one raises it by one.

    Deep: `x[l+1] = x[l] ⊙ (c ‖ c ⊙ mask + b[l]) + x[l]`; shallow: `x[l+1] = x[0] ⊙ (…) + x[l]`; with
    `c = x[l] A[l]`, half as wide, and `mask = ReLU(LN(c))`. `logit_t` is the mean of a linear logit of
    each, and each has a loss of its own (`kranking.losses.TriBCE`). Both read the fields' first halves
    before their second halves (`kranking.layers.FieldHalves`, which says what happens to numbers).
    Together the fields need a width of at least 4.

    The deep network is a polynomial of degree `2^L` in its fields. The paper's are all embeddings, small at
    first, and the first logits are next to 0. Plain numbers of unit variance are not small: where they are
    most of the width, logits start in the hundreds or beyond, and so does the loss. Give such numbers
    embeddings too, by `transform="bucketize"`, or take fewer deep steps.

    Args:
        features: Fitted declarations.
        tasks: The actions to predict.
        num_deep_cross_layers: Steps of the deep network; its degree is 2 to their power.
        num_shallow_cross_layers: Steps of the shallow network.
        deep_net_dropout: Dropout rate after each step of the deep network.
        shallow_net_dropout: Dropout rate after each step of the shallow network.
        layer_norm: Whether the masks have their norm.
        bias_initializer: Initializer of the crosses' biases. The authors' code uses
            `keras.initializers.RandomUniform(0, 1)`.
        auxiliary_loss: Loss of the two networks, as in `kranking.layers.MeanHeads`; `None` for none.

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
