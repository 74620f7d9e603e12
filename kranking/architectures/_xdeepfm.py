"""xDeepFM."""

from collections.abc import Iterable, Sequence

import keras

from kranking import layers
from kranking.architectures._registry import Hyperparameter, architecture
from kranking.architectures._sum_of_logits import DEEP, LOGIT, deep_part, sum_of_logits
from kranking.features import Feature, Task
from kranking.models import RankingModel


@architecture(
    paper="Lian et al., xDeepFM, 2018, https://arxiv.org/abs/1803.05170",
    hyperparameters=[
        Hyperparameter(
            "cin_hidden_units",
            choices=((16,), (64,), (32, 32, 32), (64, 64, 64), (128, 128)),
            default=(32, 32, 32),
        ),
        *DEEP,
    ],
    views=("linear", "tokens", "flat"),
)
def xdeepfm(
    features: Iterable[Feature],
    tasks: Iterable[Task],
    *,
    cin_hidden_units: Sequence[int] = (32, 32, 32),
    split_half: bool = False,
    units: Sequence[int] = (400, 400, 400),
    dropout: float = 0.0,
    batch_norm: bool = False,
) -> RankingModel:
    """Sum of first-order terms, a compressed interaction network (CIN) and an MLP.

    `logit_t = Σ_f w_ft[x_f] + CIN(E) · u_t + c_t + MLP(E)_t`. As in FuxiCTR, feature maps have no
    activation, and the outputs of the CIN and of the MLP each have a bias. Without `units` the model
    consists of the first-order terms and the CIN.

    Args:
        features: Fitted feature declarations. Fields of equal `embedding_dim` are used without projection.
        tasks: Tasks to predict.
        cin_hidden_units: Number of feature maps in each layer of the CIN.
        split_half: Whether half of the maps of a layer go to the next layer and half to the output.
        units: Widths of the MLP; empty for no MLP.
        dropout: Dropout rate after each layer of the MLP.
        batch_norm: Whether to use batch normalization in the MLP.

    >>> country = kr.features.Categorical("country", vocabulary=("DE", "FR"), embedding_dim=4)
    >>> xdeepfm([country], [kr.Task("save")], units=(8,)).name
    'xdeepfm'
    """
    tasks = tuple(tasks)
    network = layers.CompressedInteractionNetwork(cin_hidden_units, split_half)
    output = keras.layers.Dense(len(tasks), **LOGIT)
    parts = [
        layers.LinearTerm(use_bias=False, **LOGIT),
        keras.Sequential([network, output], name="compressed"),
    ]
    if units:
        parts.append(deep_part(units, len(tasks), dropout, batch_norm))
    return sum_of_logits(features, tasks, parts, name="xdeepfm")
