"""A mixture of MLPs, the baseline of DHEN."""

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
    """A dense mixture of MLPs combined by one gate: `h = Σ_e softmax(x G)_e · MLP_e(x)`.

    `logit_t = h · w_t + b_t`. All experts are active, and all tasks share the gate; `mmoe` has one gate
    per task.

    Args:
        features: Fitted feature declarations.
        tasks: Tasks to predict.
        num_experts: Number of MLPs.
        units: Widths of each MLP.

    >>> moe_mlp([kr.features.Numeric("age", mean=40.0, std=10.0)], [kr.Task("save")], units=(8,)).name
    'moe_mlp'
    """
    blocks = [layers.MixtureOfExperts(units, num_experts)]
    return RankingModel(features, blocks, tasks, name="moe_mlp")
