"""RankMixer."""

from collections.abc import Iterable

import keras

from kranking import layers
from kranking._core import check_positive_int
from kranking.architectures._registry import Hyperparameter, architecture
from kranking.features import Feature, Task
from kranking.models import RankingModel


@architecture(
    paper="Zhu et al., RankMixer, 2025, https://arxiv.org/abs/2507.15551",
    hyperparameters=[
        Hyperparameter("num_layers", low=1, high=4, default=2),
        Hyperparameter("num_tokens", choices=(4, 8, 16, 32), default=16),
        Hyperparameter("token_dim", choices=(64, 128, 256, 512, 768), default=128),
        Hyperparameter("expansion", choices=(1, 2, 4), default=4),
    ],
)
def rank_mixer(
    features: Iterable[Feature],
    tasks: Iterable[Task],
    *,
    num_layers: int = 2,
    num_tokens: int = 16,
    token_dim: int = 128,
    expansion: int = 4,
) -> RankingModel:
    """Token mixing without parameters and a separate feed-forward network for every token.

    The concatenated fields are split into T slices, `x_t = slice_t P_t + b_t`. Each layer computes
    `S = LN(Mix(X) + X)` and `X ← LN(F(S) + S)` with `F` per token; `logit = mean_t(x_t) · w + c` for each
    task. Fields in the same slice share a token, so declare related features next to each other. The models
    in the paper are larger (16 tokens of width 768 in 2 layers for 100 million parameters); its expansion
    factor is unpublished.

    Args:
        features: Fitted feature declarations, in the order in which they are concatenated.
        tasks: Tasks to predict.
        num_layers: Number of mixing layers.
        num_tokens: Number of tokens T. Must divide `token_dim`.
        token_dim: Width of every token.
        expansion: Hidden width of the per-token networks, relative to `token_dim`.

    >>> age = kr.features.Numeric("age", mean=40.0, std=10.0)
    >>> rank_mixer([age], [kr.Task("save")], num_tokens=2, token_dim=8).name
    'rank_mixer'
    """
    check_positive_int("num_layers", num_layers)
    blocks = [
        layers.SemanticTokenizer(num_tokens, token_dim),
        *(layers.RankMixerLayer(expansion) for _ in range(num_layers)),
        keras.layers.GlobalAveragePooling1D(name="mean_of_tokens"),
    ]
    return RankingModel(features, blocks, tasks, name="rank_mixer")
