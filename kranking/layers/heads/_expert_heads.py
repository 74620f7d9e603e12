"""Base class of heads with experts."""

from collections.abc import Sequence

from kranking._core import check_positive_ints
from kranking.layers.heads._task_heads import TaskHeads


class ExpertHeads(TaskHeads):
    """Base class: one logit per task, from a gated combination of experts and a tower per task."""

    def __init__(
        self,
        num_tasks: int | None,
        expert_units: Sequence[int],
        gate_units: Sequence[int],
        tower_units: Sequence[int],
        activation,
        kernel_initializer,
        **kwargs,
    ):
        expert_units = check_positive_ints("expert_units", expert_units)
        gate_units = check_positive_ints("gate_units", gate_units, empty=True)
        super().__init__(num_tasks, tower_units, activation, kernel_initializer, **kwargs)
        self.expert_units = expert_units
        self.gate_units = gate_units

    def get_config(self):
        """Returns the shared constructor arguments."""
        config = {"expert_units": self.expert_units, "gate_units": self.gate_units}
        return {**super().get_config(), **config}
