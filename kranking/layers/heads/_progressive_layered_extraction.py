"""Progressive layered extraction (PLE)."""

from collections.abc import Sequence

import keras
from keras import ops

from kranking._core import (
    Shape,
    check_known_width,
    check_positive_int,
    fresh,
    serializable,
)
from kranking.layers._contract._work import Work, work_of_chain
from kranking.layers.core._stacked_mlp import StackedMLP
from kranking.layers.heads._expert_heads import ExpertHeads
from kranking.layers.heads._extraction_level import ExtractionLevel


@serializable
class ProgressiveLayeredExtraction(ExpertHeads):
    """Progressive layered extraction (PLE): levels of task-specific and shared experts, one logit per task.

    A level computes `z_t = Σ_e softmax(x_t G_t)_e · expert_e` for each task, over its own experts,
    which read `x_t`, and the shared experts, which read `x_s`. The input of the shared experts of
    the next level is `x_s = Σ_e softmax(x_s G_s)_e · expert_e` over the experts of *all* tasks and
    the shared ones. `x_t` and `x_s` of the first level are the input of the layer; later
    `x_t = z_t`. The last level has no shared gate, and `logit_t = tower_t(z_t)`. One level is
    customized gate control (CGC).

    Args:
        num_tasks: Number of tasks. `None` lets `RankingModel` fill it in; required if the layer is
            used on its own.
        num_levels: Number of levels.
        num_shared_experts: Number of shared experts of each level.
        num_specific_experts: Number of task-specific experts per task in each level. 0 with one
            level is equivalent to `MultiGateMixtureOfExperts`.
        expert_units: Layer widths of each expert.
        gate_units: Hidden widths of each gate, with biases. Empty for the linear gate of the paper.
            The last projection of a gate never has a bias.
        tower_units: Hidden widths of each task's tower, before its logit.
        activation: Activation of the experts, the towers and the hidden layers of the gates.
        kernel_initializer: Initializer of every kernel.
        **kwargs: Keyword arguments of `keras.layers.Layer`.

    Input shape: `(batch, width)`.
    Output shape: `(batch, num_tasks)`, logits.

    >>> heads = kr.layers.ProgressiveLayeredExtraction(
    ...     num_tasks=3, num_levels=2, expert_units=(8,), tower_units=(4,)
    ... )
    >>> tuple(heads(np.ones((2, 6), "float32")).shape)
    (2, 3)

    Reference: [Tang et al., 2020](https://doi.org/10.1145/3383313.3412236)
    """

    def __init__(
        self,
        num_tasks: int | None = None,
        num_levels: int = 1,
        num_shared_experts: int = 1,
        num_specific_experts: int = 1,
        expert_units: Sequence[int] = (512, 256, 128),
        gate_units: Sequence[int] = (),
        tower_units: Sequence[int] = (128, 64),
        activation="relu",
        kernel_initializer="glorot_uniform",
        **kwargs,
    ):
        check_positive_int("num_levels", num_levels)
        check_positive_int("num_shared_experts", num_shared_experts)
        check_positive_int("num_specific_experts", num_specific_experts, minimum=0)
        super().__init__(
            num_tasks,
            expert_units,
            gate_units,
            tower_units,
            activation,
            kernel_initializer,
            **kwargs,
        )
        self.num_levels = num_levels
        self.num_shared_experts = num_shared_experts
        self.num_specific_experts = num_specific_experts

    def build(self, input_shape: Shape):
        """Builds the levels and the towers."""
        width = check_known_width(self, input_shape)
        self.levels, self.towers = self._parts()
        for layer in (*self.levels, self.towers):
            layer.build(input_shape)
            input_shape = layer.compute_output_shape(input_shape)
        self.input_spec = keras.layers.InputSpec(ndim=2, axes={-1: width})

    def call(self, inputs):
        """Applies the levels, then the tower of each task."""
        for level in self.levels:
            inputs = level(inputs)
        return ops.reshape(self.towers(inputs), (-1, self.towers.count))

    def work(self, input_shape: Shape) -> Work:
        """Sums the work of the levels and the towers.

        A level of input width W counts `(T·S_specific + S_shared) · P(expert)` and
        `T·W·(S_specific + S_shared)` parameters, and `W·(T·S_specific + S_shared)` unless it is the last.
        """
        check_known_width(self, input_shape)
        levels, towers = self._parts()
        return work_of_chain((*levels, towers), input_shape)

    def get_config(self):
        """Returns the constructor arguments."""
        return {
            **super().get_config(),
            "num_levels": self.num_levels,
            "num_shared_experts": self.num_shared_experts,
            "num_specific_experts": self.num_specific_experts,
        }

    def _parts(self):
        """Returns the unbuilt levels and towers."""
        tasks = self._task_count()
        levels, first = [], 0
        for index in range(self.num_levels):
            level = ExtractionLevel(
                tasks,
                self.num_shared_experts,
                self.num_specific_experts,
                self.expert_units,
                self.gate_units,
                last=index == self.num_levels - 1,
                activation=self.activation,
                kernel_initializer=fresh(self.kernel_initializer, first),
                name=f"level_{index}",
                dtype=self.dtype_policy,
            )
            first += level.num_kernels
            levels.append(level)
        towers = StackedMLP(
            tasks,
            self.tower_units,
            output_units=1,
            activation=self.activation,
            kernel_initializer=fresh(self.kernel_initializer, first),
            name="towers",
            dtype=self.dtype_policy,
        )
        return levels, towers
