"""Field-weighted factorization machine."""

from collections.abc import Iterable

from kranking import layers
from kranking._core import check_choice
from kranking.architectures._registry import Hyperparameter, architecture
from kranking.architectures._sum_of_logits import LOGIT, linear_part, sum_of_logits
from kranking.features import Feature, Task
from kranking.models import RankingModel


@architecture(
    paper="Pan et al., Field-weighted factorization machines, 2018, https://arxiv.org/abs/1806.03514",
    hyperparameters=[Hyperparameter("linear", choices=("field", "value"), default="field")],
    views=("flat", "linear", "tokens"),
)
def fwfm(
    features: Iterable[Feature], tasks: Iterable[Task], *, linear: str = "field"
) -> RankingModel:
    """Factorization machine with a weight for every pair of fields.

    `logit_t = b_t + linear_t + Σ_{i<j} r_ijt ⟨E_i, E_j⟩`. The first-order part is `Σ_f ⟨E_f, w_ft⟩`,
    one vector per field (FiLV in the paper), or `Σ_f w_ft[x_f]`, one weight per value (LW).

    Args:
        features: Fitted feature declarations, at least two.
        tasks: Tasks to predict.
        linear: First-order part, `"field"` or `"value"`.

    >>> words = {"vocabulary": ("a", "b"), "embedding_dim": 4}
    >>> pair = [kr.features.Categorical("country", **words), kr.features.Categorical("app", **words)]
    >>> fwfm(pair, [kr.Task("save")]).count_params()  # tables: 2 · 3 · 4, linear: 8 + 1, pair: 1
    34
    """
    check_choice("linear", linear, ("field", "value"))
    tasks = tuple(tasks)
    parts = [
        linear_part(linear, len(tasks), use_bias=True),
        layers.FieldWeightedFactorizationMachine(**LOGIT),
    ]
    return sum_of_logits(features, tasks, parts, name="fwfm")
