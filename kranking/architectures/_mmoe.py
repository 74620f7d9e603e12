"""Multi-gate mixture of experts."""

from collections.abc import Iterable, Sequence

from kranking import layers
from kranking.architectures._registry import Hyperparameter, architecture
from kranking.features import Feature, Task
from kranking.models import RankingModel


@architecture(
    paper="Ma et al., MMoE, 2018, https://doi.org/10.1145/3219819.3220007",
    hyperparameters=[
        Hyperparameter("num_experts", low=2, high=16, log=True, default=4),
        Hyperparameter(
            "expert_units",
            choices=((64,), (256, 128), (512, 256, 128), (1024, 512, 256)),
            default=(512, 256, 128),
        ),
        Hyperparameter("gate_units", choices=((), (128, 64)), default=()),
        Hyperparameter("tower_units", choices=((), (64,), (128, 64)), default=(128, 64)),
    ],
)
def mmoe(
    features: Iterable[Feature],
    tasks: Iterable[Task],
    *,
    num_experts: int = 4,
    expert_units: Sequence[int] = (512, 256, 128),
    gate_units: Sequence[int] = (),
    tower_units: Sequence[int] = (128, 64),
) -> RankingModel:
    """Experts shared by all tasks, combined by one gate per task.

    `logit_t = tower_t(Σ_e softmax(x G_t)_e · expert_e(x))`.

    Args:
        features: Fitted feature declarations.
        tasks: Tasks to predict.
        num_experts: Number of experts.
        expert_units: Widths of each expert.
        gate_units: Hidden widths of each gate; empty for a linear gate, as in the paper.
        tower_units: Widths of the tower of each task, before its logit.

    >>> age = kr.features.Numeric("age", mean=40.0, std=10.0)
    >>> mmoe([age], [kr.Task("save"), kr.Task("hide")], expert_units=(8,), tower_units=()).name
    'mmoe'
    """
    heads = layers.MultiGateMixtureOfExperts(
        num_experts=num_experts,
        expert_units=expert_units,
        gate_units=gate_units,
        tower_units=tower_units,
    )
    model = RankingModel(features, [], tasks, heads=heads, name="mmoe")
    model.build()  # no blocks can be added before these heads
    return model
