"""Hiformer."""

from collections.abc import Iterable

import keras

from kranking import layers
from kranking._core import check_positive_int
from kranking.architectures._registry import Hyperparameter, architecture
from kranking.features import Feature, Task
from kranking.models import RankingModel


@architecture(
    paper="Gui et al., Hiformer, 2023, https://arxiv.org/abs/2311.05884",
    hyperparameters=[
        Hyperparameter("depth", low=1, high=4, default=2),
        Hyperparameter("num_heads", choices=(1, 2, 4), default=2),
        Hyperparameter("feedforward_dim", low=16, high=512, log=True, default=64),
        Hyperparameter("rank", choices=(4, 16, 64), default=16),
    ],
    views=("tokens",),
)
def hiformer(
    features: Iterable[Feature],
    tasks: Iterable[Task],
    *,
    depth: int = 2,
    num_heads: int = 2,
    feedforward_dim: int = 64,
    rank: int | None = 16,
    norm_first: bool = True,
) -> RankingModel:
    """Attention with per-token weights and composite keys and values, and one learned token per task.

    `X⁰ = [fields; task tokens]`, then `depth` layers of `HiformerLayer`. The last layer computes only the
    task tokens `y_t`, since no logit depends on its other outputs; `logit_t = y_t · w + b`.

    Implemented from secondary sources about the paper: the position of the normalizations, the activation,
    the sizes and the shared `w` are unverified.

    Args:
        features: Fitted feature declarations. Fields of equal `embedding_dim` are used without projection.
        tasks: Tasks to predict.
        depth: Number of layers.
        num_heads: Number of attention heads. Must divide the token width.
        feedforward_dim: Hidden width of the feed-forward network of each token.
        rank: Rank of the factorized keys and values of each head; `None` for full rank.
        norm_first: Whether to normalize before attention and feed-forward network instead of after.

    >>> country = kr.features.Categorical("country", vocabulary=("DE", "FR"), embedding_dim=4)
    >>> hiformer([country], [kr.Task("save")], depth=1).name
    'hiformer'
    """
    check_positive_int("depth", depth)
    tasks = tuple(tasks)
    options = (num_heads, feedforward_dim, rank, norm_first)
    inner = [layers.HiformerLayer(*options) for _ in range(depth - 1)]
    last = layers.HiformerLayer(*options, num_queries=len(tasks))
    logit = keras.layers.Dense(1, dtype="float32", name="logit")
    blocks = [layers.LearnedTokens(len(tasks)), *inner, last, logit]
    return RankingModel(features, blocks, tasks, heads=keras.layers.Identity(), name="hiformer")
