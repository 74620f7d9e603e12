"""DeepFM."""

from collections.abc import Iterable, Sequence

from kranking import layers
from kranking.architectures._registry import architecture
from kranking.architectures._sum_of_logits import DEEP, LOGIT, deep_part, sum_of_logits
from kranking.features import Feature, Task
from kranking.models import RankingModel


@architecture(
    paper="Guo et al., DeepFM, 2017, https://arxiv.org/abs/1703.04247",
    hyperparameters=DEEP,
    views=("linear", "tokens", "flat"),
)
def deepfm(
    features: Iterable[Feature],
    tasks: Iterable[Task],
    *,
    units: Sequence[int] = (400, 400, 400),
    dropout: float = 0.0,
    batch_norm: bool = False,
) -> RankingModel:
    """Sum of a factorization machine and an MLP on the same embeddings.

    `logit_t = Σ_f w_ft[x_f] + Σ_{i<j} ⟨E_i, E_j⟩ + MLP(E)_t`, with a single bias, in the output of the MLP.

    Args:
        features: Fitted feature declarations.
        tasks: Tasks to predict.
        units: Widths of the MLP.
        dropout: Dropout rate after each layer of the MLP.
        batch_norm: Whether to use batch normalization in the MLP.

    >>> deepfm([kr.features.Numeric("age", mean=40.0, std=10.0)], [kr.Task("save")], units=(8,)).name
    'deepfm'
    """
    tasks = tuple(tasks)
    parts = [
        layers.LinearTerm(use_bias=False, **LOGIT),
        layers.FactorizationMachine(**LOGIT),
        deep_part(units, len(tasks), dropout, batch_norm),
    ]
    return sum_of_logits(features, tasks, parts, name="deepfm")
