"""Factorization machine."""

from collections.abc import Iterable

from kranking import layers
from kranking.architectures._additive import LOGIT, additive
from kranking.architectures._registry import architecture
from kranking.features import Feature, Task
from kranking.models import RankingModel


@architecture(
    paper="Rendle, Factorization machines, 2010, https://doi.org/10.1109/ICDM.2010.127",
    hyperparameters=[],
    views=("linear", "tokens"),
)
def fm(features: Iterable[Feature], tasks: Iterable[Task]) -> RankingModel:
    """Logistic regression plus the inner product of every pair of embeddings.

    `logit_t = b_t + Σ_f w_ft[x_f] + Σ_{i<j} ⟨E_i, E_j⟩`. The second-order part has no weights of its
    own and is one number for all tasks. Features of one `embedding_dim` are multiplied as they are.

    Args:
        features: Fitted declarations.
        tasks: The actions to predict.

    >>> country = kr.features.Categorical("country", vocabulary=("DE", "FR"), embedding_dim=4)
    >>> fm([country], [kr.Task("save")]).count_params()  # 3 · 4 in the table, 3 weights, a bias
    16
    """
    parts = [layers.LinearTerm(**LOGIT), layers.FactorizationMachine(**LOGIT)]
    return additive(features, tasks, parts, name="fm")
