"""Logistic regression."""

from collections.abc import Iterable

from kranking import layers
from kranking.architectures._registry import architecture
from kranking.architectures._sum_of_logits import LOGIT, sum_of_logits
from kranking.features import Feature, Task
from kranking.models import RankingModel


@architecture(
    paper="Richardson et al., Predicting clicks, 2007, https://doi.org/10.1145/1242572.1242643",
    hyperparameters=[],
    views=("linear",),
)
def lr(features: Iterable[Feature], tasks: Iterable[Task]) -> RankingModel:
    """Logistic regression: one weight per feature value and task, no interactions; the simplest baseline.

    `logit_t = b_t + Σ_f w_ft[x_f]`.

    Args:
        features: Fitted feature declarations.
        tasks: Tasks to predict.

    >>> lr([kr.features.Numeric("age", mean=40.0, std=10.0)], [kr.Task("save")]).count_params()
    2
    """
    return sum_of_logits(features, tasks, [layers.LinearTerm(**LOGIT)], name="lr")
