"""Progressive layered extraction."""

from collections.abc import Iterable, Sequence

from kranking import layers
from kranking.architectures._registry import Hyperparameter, architecture
from kranking.features import Feature, Task
from kranking.models import RankingModel


@architecture(
    paper="Tang et al., PLE, 2020, https://doi.org/10.1145/3383313.3412236",
    hyperparameters=[
        Hyperparameter("num_levels", low=1, high=3, default=1),
        Hyperparameter("num_shared_experts", low=1, high=8, default=1),
        Hyperparameter("num_specific_experts", low=1, high=8, default=1),
        Hyperparameter(
            "expert_units",
            choices=((64,), (256, 128), (512, 256, 128), (1024, 512, 256)),
            default=(512, 256, 128),
        ),
        Hyperparameter("tower_units", choices=((), (64,), (128, 64)), default=(128, 64)),
    ],
)
def ple(
    features: Iterable[Feature],
    tasks: Iterable[Task],
    *,
    num_levels: int = 1,
    num_shared_experts: int = 1,
    num_specific_experts: int = 1,
    expert_units: Sequence[int] = (512, 256, 128),
    gate_units: Sequence[int] = (),
    tower_units: Sequence[int] = (128, 64),
) -> RankingModel:
    """Task-specific and shared experts in several levels that progressively separate the tasks.

    In each level `x_t ← Σ_e softmax(x_t G_t)_e · expert_e` over the experts of task `t` and the shared
    experts and, except in the last level, `x_s ← Σ_e softmax(x_s G_s)_e · expert_e` over all experts;
    `logit_t = tower_t(x_t)`.

    Args:
        features: Fitted feature declarations.
        tasks: Tasks to predict.
        num_levels: Number of levels; a single level is customized gate control (CGC).
        num_shared_experts: Number of shared experts in each level.
        num_specific_experts: Number of experts per task in each level.
        expert_units: Widths of each expert.
        gate_units: Hidden widths of each gate; empty for a linear gate, as in the paper.
        tower_units: Widths of the tower of each task, before its logit.

    >>> age = kr.features.Numeric("age", mean=40.0, std=10.0)
    >>> ple([age], [kr.Task("save"), kr.Task("hide")], expert_units=(8,), tower_units=()).name
    'ple'
    """
    heads = layers.ProgressiveLayeredExtraction(
        num_levels=num_levels,
        num_shared_experts=num_shared_experts,
        num_specific_experts=num_specific_experts,
        expert_units=expert_units,
        gate_units=gate_units,
        tower_units=tower_units,
    )
    model = RankingModel(features, [], tasks, heads=heads, name="ple")
    model.build()  # no blocks can be added before these heads
    return model
