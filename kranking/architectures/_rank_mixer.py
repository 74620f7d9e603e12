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
    """Tokens that trade their parts without parameters, each with a feed-forward network of its own.

    All fields side by side are cut into T slices, `x_t = slice_t P_t + b_t`; each layer gives
    `S = LN(Mix(X) + X)` and `X ← LN(F(S) + S)` with `F` per token; `logit = mean_t(x_t) · w + c` for each
    task. What shares a slice shares a token: declare the features in groups of related meaning. The
    paper's models are larger (16 tokens of 768 in 2 layers at 100 million parameters); its factor of the
    hidden width is not published.

    Args:
        features: Fitted declarations, in the order in which they are cut.
        tasks: The actions to predict.
        num_layers: Number of mixing layers.
        num_tokens: Number of tokens T; divides `token_dim`.
        token_dim: Width of every token.
        expansion: Hidden width of the per-token networks over `token_dim`.

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
