"""A mixture of perceptrons, the baseline of DHEN."""

from collections.abc import Iterable, Sequence

from kranking import layers
from kranking.architectures._registry import Hyperparameter, architecture
from kranking.features import Feature, Task
from kranking.models import RankingModel


@architecture(
    paper="Zhang et al., DHEN, 2022, table 3, https://arxiv.org/abs/2203.11014",
    hyperparameters=[
        Hyperparameter("num_experts", low=2, high=16, log=True, default=4),
        Hyperparameter("units", choices=((256, 128), (512, 256), (1024, 512)), default=(512, 256)),
    ],
)
def moe_mlp(
    features: Iterable[Feature],
    tasks: Iterable[Task],
    *,
    num_experts: int = 4,
    units: Sequence[int] = (512, 256),
) -> RankingModel:
    """Several perceptrons weighed by one gate: `h = Σ_e softmax(x G)_e · MLP_e(x)`, all of them active.

    `logit_t = h · w_t + b_t`. It has one gate for all tasks; `mmoe` gives each task its own.

    Args:
        features: Fitted declarations.
        tasks: The actions to predict.
        num_experts: Number of perceptrons.
        units: Widths of each.

    >>> moe_mlp([kr.features.Numeric("age", mean=40.0, std=10.0)], [kr.Task("save")], units=(8,)).name
    'moe_mlp'
    """
    blocks = [layers.MixtureOfExperts(units, num_experts)]
    return RankingModel(features, blocks, tasks, name="moe_mlp")
