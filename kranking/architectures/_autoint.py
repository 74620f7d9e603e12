"""AutoInt and AutoInt+."""

from collections.abc import Iterable, Sequence

import keras

from kranking import layers
from kranking._core import check_positive_int
from kranking.architectures._registry import Hyperparameter, architecture
from kranking.architectures._sum_of_logits import LOGIT, deep_part, sum_of_logits
from kranking.features import Feature, Task
from kranking.models import RankingModel


@architecture(
    paper="Song et al., AutoInt, 2019, https://arxiv.org/abs/1810.11921",
    hyperparameters=[
        Hyperparameter("attention_layers", low=1, high=6, default=3),
        Hyperparameter("num_heads", choices=(1, 2, 4), default=2),
        Hyperparameter("attention_dim", choices=(16, 40, 64, 128), default=40),
        Hyperparameter("units", choices=((), (256, 128), (400, 400, 400)), default=()),
        Hyperparameter("dropout", low=0.0, high=0.5, default=0.0),
    ],
    views=("tokens", "flat", "linear"),
)
def autoint(
    features: Iterable[Feature],
    tasks: Iterable[Task],
    *,
    attention_layers: int = 3,
    num_heads: int = 2,
    attention_dim: int = 40,
    use_scale: bool = True,
    residual: str = "projection",
    layer_norm: str = "none",
    use_wide: bool = False,
    units: Sequence[int] = (),
    dropout: float = 0.0,
    batch_norm: bool = False,
) -> RankingModel:
    """Stacked self-attention layers over the fields; with `units` also an MLP (AutoInt+).

    `logit_t = vec(X^L) · u_t + c_t [+ MLP(E)_t] [+ Σ_f w_ft[x_f]]`, where each `X^l` is the output of
    an `InteractingLayer` on the previous one. The FuxiCTR model corresponds to `residual="identity"`;
    its options for layer normalization and scaling are `layer_norm="before"` and `use_scale`.

    Args:
        features: Fitted feature declarations. Fields of equal `embedding_dim` are used without projection.
        tasks: Tasks to predict.
        attention_layers: Number of layers.
        num_heads: Number of heads in each layer.
        attention_dim: Total width of all heads. Must be a multiple of `num_heads`.
        use_scale: Whether to divide the scores by the square root of the width of a head.
        residual: `"projection"`, `"identity"` or `"none"`, as in `InteractingLayer`.
        layer_norm: `"none"`, or `"before"` or `"after"` the ReLU.
        use_wide: Whether to add first-order terms.
        units: Widths of the MLP; empty for no MLP.
        dropout: Dropout rate of the attention weights, and after each layer of the MLP.
        batch_norm: Whether to use batch normalization in the MLP.

    Raises:
        ValueError: If `num_heads` does not divide `attention_dim`.

    >>> country = kr.features.Categorical("country", vocabulary=("DE", "FR"), embedding_dim=4)
    >>> autoint([country], [kr.Task("save")], attention_layers=2).name
    'autoint'
    """
    check_positive_int("attention_layers", attention_layers)
    if attention_dim % num_heads:
        raise ValueError(
            "`num_heads` must divide `attention_dim`. "
            f"Received: num_heads={num_heads}, attention_dim={attention_dim}"
        )
    tasks = tuple(tasks)
    options = (num_heads, attention_dim // num_heads, use_scale, residual, layer_norm, dropout)
    stack = [layers.InteractingLayer(*options) for _ in range(attention_layers)]
    output = [keras.layers.Flatten(), keras.layers.Dense(len(tasks), **LOGIT)]
    parts: list = [keras.Sequential([*stack, *output], name="attention")]
    if units:
        parts.append(deep_part(units, len(tasks), dropout, batch_norm))
    if use_wide:
        parts.append(layers.LinearTerm(use_bias=False, **LOGIT))
    return sum_of_logits(features, tasks, parts, name="autoint")
