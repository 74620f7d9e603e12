"""Logits that are sums of parts, as in factorization machines and the models that extend them."""

from collections.abc import Iterable, Sequence
from typing import Any

import keras

from kranking import layers
from kranking.architectures._registry import Hyperparameter
from kranking.features import Feature, Task
from kranking.models import RankingModel

# Every part is a logit, and logits in half precision tie.
LOGIT: dict[str, Any] = {"dtype": "float32"}

DEEP = [
    Hyperparameter(
        "units",
        choices=((64, 64), (256, 128), (400, 400, 400), (1024, 512, 256)),
        default=(400, 400, 400),
    ),
    Hyperparameter("dropout", low=0.0, high=0.5, default=0.0),
    Hyperparameter("batch_norm", choices=(False, True), default=False),
]


def sum_of_logits(
    features: Iterable[Feature], tasks: Iterable[Task], parts: Sequence[Any], name: str
) -> RankingModel:
    """Builds a model whose logits are the sum of `parts`; a part of width 1 is added to every task."""
    block = parts[0] if len(parts) == 1 else layers.Parallel(list(parts), merge="sum", **LOGIT)
    return RankingModel(features, [block], tasks, heads=keras.layers.Identity(), name=name)


def deep_part(
    units: Sequence[int], num_tasks: int, dropout: float, batch_norm: bool
) -> keras.Sequential:
    """Creates the MLP on the embeddings, which also contains the bias."""
    mlp = layers.MLP(units, dropout=dropout, batch_norm=batch_norm)
    return keras.Sequential([mlp, keras.layers.Dense(num_tasks, **LOGIT)], name="deep")


def linear_part(linear: str, num_tasks: int, use_bias: bool) -> keras.layers.Layer:
    """Creates the first-order part of FwFM: one weight per value, or one vector per field."""
    if linear == "value":
        return layers.LinearTerm(use_bias=use_bias, **LOGIT)
    # A kernel on the flat fields is one vector per field; pruning finds the layer by this name.
    return keras.layers.Dense(num_tasks, use_bias=use_bias, name="linear", **LOGIT)
