"""Multi-gate mixture of experts (MMoE)."""

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
from kranking.layers._contract._work import Work
from kranking.layers.core._gating import softmax_gates
from kranking.layers.core._stacked_mlp import StackedMLP
from kranking.layers.heads._expert_heads import ExpertHeads


@serializable
class MultiGateMixtureOfExperts(ExpertHeads):
    """Multi-gate mixture of experts (MMoE): one logit per task, from shared experts and a gate per task.

    `logit_t = tower_t(Σ_e softmax(gate_t(x))_e · expert_e(x))`, where `tower_t` ends with a
    projection to one logit, and `gate_t(x) = x G_t` unless `gate_units` is set.

    Args:
        num_tasks: Number of tasks. `None` lets `RankingModel` fill it in; required if the layer is
            used on its own.
        num_experts: Number of experts, `K`.
        expert_units: Layer widths of each expert.
        gate_units: Hidden widths of each gate, with biases. Empty for the linear gate of the paper.
            The last projection of a gate never has a bias.
        tower_units: Hidden widths of each task's tower, before its logit.
        activation: Activation of the experts, the towers and the hidden layers of the gates.
        kernel_initializer: Initializer of every kernel.
        **kwargs: Keyword arguments of `keras.layers.Layer`.

    Input shape: `(batch, width)`.
    Output shape: `(batch, num_tasks)`, logits.

    >>> heads = kr.layers.MultiGateMixtureOfExperts(
    ...     num_tasks=3, num_experts=4, expert_units=(8,), tower_units=(4,)
    ... )
    >>> tuple(heads(np.ones((2, 6), "float32")).shape)
    (2, 3)

    Reference: [Ma et al., 2018](https://doi.org/10.1145/3219819.3220007)
    """

    def __init__(
        self,
        num_tasks: int | None = None,
        num_experts: int = 4,
        expert_units: Sequence[int] = (512, 256, 128),
        gate_units: Sequence[int] = (),
        tower_units: Sequence[int] = (128, 64),
        activation="relu",
        kernel_initializer="glorot_uniform",
        **kwargs,
    ):
        check_positive_int("num_experts", num_experts)
        super().__init__(
            num_tasks,
            expert_units,
            gate_units,
            tower_units,
            activation,
            kernel_initializer,
            **kwargs,
        )
        self.num_experts = num_experts

    def build(self, input_shape: Shape):
        """Builds the experts, gates and towers, each stacked in one layer."""
        width = check_known_width(self, input_shape)
        self.experts, self.gates, self.towers = self._stacks()
        self.experts.build((None, width))
        self.gates.build((None, width))
        self.towers.build((None, self.num_tasks, self.expert_units[-1]))
        self.input_spec = keras.layers.InputSpec(ndim=2, axes={-1: width})

    def call(self, inputs):
        """Computes the experts once and combines them for each task."""
        weights = softmax_gates(self.gates(inputs))  # (B, T, K)
        mixed = ops.matmul(weights, self.experts(inputs))
        return ops.reshape(self.towers(mixed), (-1, weights.shape[1]))

    def work(self, input_shape: Shape) -> Work:
        """Counts `K · P(expert) + T · W · K + T · P(tower)` parameters and `2TKe` FLOPs for the sums."""
        width, output = check_known_width(self, input_shape), self.expert_units[-1]
        experts, gates, towers = self._stacks()
        tasks = towers.count
        total = experts.work((None, width)) + gates.work((None, width))
        total += towers.work((None, tasks, output))
        count = self.num_experts
        return total + Work(0, 2 * tasks * count * output, tasks * (count + output))

    def get_config(self):
        """Returns the constructor arguments."""
        return {
            **super().get_config(),
            "num_experts": self.num_experts,
        }

    def _stacks(self):
        """Returns the unbuilt experts, gates and towers."""
        tasks = self._task_count()
        rows = {
            "experts": (self.num_experts, self.expert_units, None, True),
            "gates": (tasks, self.gate_units, self.num_experts, False),
            "towers": (tasks, self.tower_units, 1, True),
        }
        stacks, first = [], 0
        for name, (count, units, output, bias) in rows.items():
            stacks.append(
                StackedMLP(
                    count,
                    units,
                    output,
                    bias,
                    activation=self.activation,
                    kernel_initializer=fresh(self.kernel_initializer, first),
                    name=name,
                    dtype=self.dtype_policy,
                )
            )
            first += stacks[-1].num_kernels
        return stacks
