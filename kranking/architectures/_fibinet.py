"""FiBiNET."""

from collections.abc import Iterable, Sequence
from typing import Any

import keras

from kranking import layers
from kranking.architectures._registry import Hyperparameter, architecture
from kranking.architectures._sum_of_logits import DEEP, LOGIT, deep_part, sum_of_logits
from kranking.features import Feature, Task
from kranking.models import RankingModel


@architecture(
    paper="Huang et al., FiBiNET, 2019, https://arxiv.org/abs/1905.09433",
    hyperparameters=[
        Hyperparameter(
            "bilinear_type",
            choices=("field_all", "field_each", "field_interaction"),
            default="field_interaction",
        ),
        Hyperparameter("reduction_ratio", low=1, high=8, default=3),
        *DEEP,
    ],
    views=("linear", "tokens"),
)
def fibinet(
    features: Iterable[Feature],
    tasks: Iterable[Task],
    *,
    bilinear_type: str = "field_interaction",
    reduction_ratio: float = 3,
    gate_activation: Any = "relu",
    units: Sequence[int] = (400, 400, 400),
    dropout: float = 0.0,
    batch_norm: bool = False,
) -> RankingModel:
    """Bilinear interactions of all pairs of fields, as they are and re-weighted, followed by an MLP.

    `logit_t = Σ_f w_ft[x_f] + MLP(p ‖ q)_t`, where `p_ij = (E_i W) ⊙ E_j` and `q_ij = (V_i W') ⊙ V_j` for
    all `i < j`. `V` is `E` with each field multiplied by a gate (squeeze and excitation, SENET). As in
    FuxiCTR, `W` and `W'` are separate, and the only bias is in the MLP.

    The input of the MLP has `F(F − 1) · D` elements: with many fields its first kernel is most of the
    model.

    Args:
        features: Fitted feature declarations, at least two. Fields of equal `embedding_dim` are used
            without projection.
        tasks: Tasks to predict.
        bilinear_type: One matrix for all pairs (`"field_all"`), for each first field (`"field_each"`)
            or for each pair (`"field_interaction"`).
        reduction_ratio: Ratio of the number of fields to the width of the gates' hidden layer.
        gate_activation: Activation of the gates, `"relu"` in the paper.
        units: Widths of the MLP.
        dropout: Dropout rate after each layer of the MLP.
        batch_norm: Whether to use batch normalization in the MLP.

    >>> words = {"vocabulary": ("a", "b"), "embedding_dim": 4}
    >>> pair = [kr.features.Categorical("country", **words), kr.features.Categorical("app", **words)]
    >>> fibinet(pair, [kr.Task("save")], units=(8,)).name
    'fibinet'
    """
    tasks = tuple(tasks)
    gate = layers.SqueezeExcitation(reduction_ratio, gate_activation=gate_activation)
    reweighted = keras.Sequential([gate, layers.BilinearInteraction(bilinear_type)])
    pairs = layers.Parallel([layers.BilinearInteraction(bilinear_type), reweighted])
    deep = deep_part(units, len(tasks), dropout, batch_norm)
    parts = [
        layers.LinearTerm(use_bias=False, **LOGIT),
        keras.Sequential([pairs, keras.layers.Flatten(), deep], name="interactions"),
    ]
    return sum_of_logits(features, tasks, parts, name="fibinet")
