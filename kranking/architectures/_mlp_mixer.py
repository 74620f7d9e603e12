"""MLP-Mixer on the fields."""

from collections.abc import Iterable

import keras

from kranking import layers
from kranking._core import check_positive_int
from kranking.architectures._registry import Hyperparameter, architecture
from kranking.features import Feature, Task
from kranking.models import RankingModel


@architecture(
    paper="Tolstikhin et al., MLP-Mixer, 2021, https://arxiv.org/abs/2105.01601",
    hyperparameters=[
        Hyperparameter("depth", low=1, high=8, default=4),
        Hyperparameter("tokens_mlp_dim", low=8, high=256, log=True, default=32),
        Hyperparameter("channels_mlp_dim", low=16, high=1024, log=True, default=128),
    ],
    views=("tokens",),
)
def mlp_mixer(
    features: Iterable[Feature],
    tasks: Iterable[Task],
    *,
    depth: int = 4,
    tokens_mlp_dim: int = 32,
    channels_mlp_dim: int = 128,
) -> RankingModel:
    """MLP-Mixer with fields as patches: MLPs across fields alternate with MLPs across channels.

    `h = mean_f LN(Mixer^depth(X))`, `logit_t = h · w_t + b_t`. The paper applies it to images; Meta's SUM
    applies the layer to fields.

    Args:
        features: Fitted feature declarations. Fields of equal `embedding_dim` are used without projection.
        tasks: Tasks to predict.
        depth: Number of layers.
        tokens_mlp_dim: Hidden width of the MLP across fields.
        channels_mlp_dim: Hidden width of the MLP across channels.

    >>> country = kr.features.Categorical("country", vocabulary=("DE", "FR"), embedding_dim=4)
    >>> mlp_mixer([country], [kr.Task("save")], depth=1).name
    'mlp_mixer'
    """
    check_positive_int("depth", depth)
    blocks = [layers.MixerLayer(tokens_mlp_dim, channels_mlp_dim) for _ in range(depth)]
    norm = keras.layers.LayerNormalization(epsilon=1e-5, name="norm")
    pool = keras.layers.GlobalAveragePooling1D(data_format="channels_last", name="pool")
    return RankingModel(features, [*blocks, norm, pool], tasks, name="mlp_mixer")
