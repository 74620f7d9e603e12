"""DeepFwFM, the model of DeepLight."""

from collections.abc import Iterable, Sequence

from kranking import layers
from kranking._core import check_choice
from kranking.architectures._registry import Hyperparameter, architecture
from kranking.architectures._sum_of_logits import DEEP, LOGIT, deep_part, linear_part, sum_of_logits
from kranking.features import Feature, Task
from kranking.models import RankingModel


@architecture(
    paper="Deng et al., DeepLight, 2021, https://arxiv.org/abs/2002.06987",
    hyperparameters=[
        Hyperparameter("linear", choices=("field", "value"), default="field"),
        *DEEP,
    ],
    views=("flat", "linear", "tokens"),
)
def deep_light(
    features: Iterable[Feature],
    tasks: Iterable[Task],
    *,
    linear: str = "field",
    units: Sequence[int] = (400, 400, 400),
    dropout: float = 0.0,
    batch_norm: bool = False,
) -> RankingModel:
    """Sum of a field-weighted factorization machine and an MLP on the same embeddings (DeepFwFM).

    `logit_t = linear_t + Σ_{i<j} r_ijt ⟨E_i, E_j⟩ + MLP(E)_t`, with a single bias, in the output of the
    MLP. DeepLight trains it with `kranking.training.StructuralPruning`; the reference run uses
    `dropout=0.5`.

    Args:
        features: Fitted feature declarations, at least two.
        tasks: Tasks to predict.
        linear: First-order part: `"field"`, one vector per field, or `"value"`, one weight per value.
        units: Widths of the MLP.
        dropout: Dropout rate after each layer of the MLP.
        batch_norm: Whether to use batch normalization in the MLP.

    >>> words = {"vocabulary": ("a", "b"), "embedding_dim": 4}
    >>> pair = [kr.features.Categorical("country", **words), kr.features.Categorical("app", **words)]
    >>> deep_light(pair, [kr.Task("save")], units=(8,)).name
    'deep_light'
    """
    check_choice("linear", linear, ("field", "value"))
    tasks = tuple(tasks)
    parts = [
        linear_part(linear, len(tasks), use_bias=False),
        layers.FieldWeightedFactorizationMachine(**LOGIT),
        deep_part(units, len(tasks), dropout, batch_norm),
    ]
    return sum_of_logits(features, tasks, parts, name="deep_light")
