"""A plain multilayer perceptron, the baseline for every feature interaction."""

from collections.abc import Iterable, Sequence

from kranking import layers
from kranking.architectures._registry import Hyperparameter, architecture
from kranking.features import Feature, Task
from kranking.models import RankingModel


@architecture(
    paper="none: embeddings, concatenation, MLP",
    hyperparameters=[
        Hyperparameter("units", choices=((256, 128), (512, 256), (1024, 512)), default=(512, 256)),
        Hyperparameter("dropout", low=0.0, high=0.5, default=0.0),
        Hyperparameter("batch_norm", choices=(False, True), default=False),
    ],
)
def mlp(
    features: Iterable[Feature],
    tasks: Iterable[Task],
    *,
    units: Sequence[int] = (512, 256),
    dropout: float = 0.0,
    batch_norm: bool = False,
) -> RankingModel:
    """An MLP on the concatenated embeddings, without explicit interactions.

    `logit_t = MLP(E) · v_t + c_t`.

    Args:
        features: Fitted feature declarations.
        tasks: Tasks to predict.
        units: Widths of the MLP.
        dropout: Dropout rate after each layer.
        batch_norm: Whether to use batch normalization in each layer.

    >>> mlp([kr.features.Numeric("age", mean=40.0, std=10.0)], [kr.Task("save")], units=(8,)).name
    'mlp'
    """
    block = layers.MLP(units, dropout=dropout, batch_norm=batch_norm)
    return RankingModel(features, [block], tasks, name="mlp")
