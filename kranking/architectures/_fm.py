"""Factorization machine."""

from collections.abc import Iterable

from kranking import layers
from kranking.architectures._registry import architecture
from kranking.architectures._sum_of_logits import LOGIT, sum_of_logits
from kranking.features import Feature, Task
from kranking.models import RankingModel


@architecture(
    paper="Rendle, Factorization machines, 2010, https://doi.org/10.1109/ICDM.2010.127",
    hyperparameters=[],
    views=("linear", "tokens"),
)
def fm(features: Iterable[Feature], tasks: Iterable[Task]) -> RankingModel:
    """Logistic regression plus the inner product of every pair of embeddings.

    `logit_t = b_t + Σ_f w_ft[x_f] + Σ_{i<j} ⟨E_i, E_j⟩`. The second-order part has no additional weights
    and the same value for all tasks. Features of equal `embedding_dim` are used without projection.

    Args:
        features: Fitted feature declarations.
        tasks: Tasks to predict.

    >>> country = kr.features.Categorical("country", vocabulary=("DE", "FR"), embedding_dim=4)
    >>> fm([country], [kr.Task("save")]).count_params()  # table: 3 · 4, first order: 3, bias: 1
    16
    """
    parts = [layers.LinearTerm(**LOGIT), layers.FactorizationMachine(**LOGIT)]
    return sum_of_logits(features, tasks, parts, name="fm")
