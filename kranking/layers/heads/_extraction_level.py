"""One level of progressive layered extraction (PLE)."""

from collections.abc import Sequence

import keras
from keras import ops

from kranking._core import Shape, check_known_width, fresh
from kranking.layers._contract._work import Work
from kranking.layers.core._gating import softmax_gates
from kranking.layers.core._stacked_mlp import StackedMLP


class ExtractionLevel(keras.layers.Layer):
    """Internal: customized gate control (CGC), `z_t = Σ_e softmax(gate_t(x_t))_e · expert_e`.

    Task `t` combines its own experts, which read `x_t`, and the shared experts, which read `x_s`,
    in this order. Unless the level is the last, a shared gate on `x_s` combines the experts of all
    tasks and the shared experts as the input of the shared experts of the next level.

    Args:
        num_tasks: Number of tasks, T.
        num_shared: Number of shared experts.
        num_specific: Number of task-specific experts per task; may be 0.
        expert_units: Layer widths of each expert.
        gate_units: Hidden widths of each gate.
        last: Whether to omit the shared gate.
        activation: Activation of the experts and the hidden layers of the gates.
        kernel_initializer: Initializer of every kernel.
        **kwargs: Keyword arguments of `keras.layers.Layer`.

    Input shape: `(batch, width)`, which all experts and gates read, or `(batch, T + 1, width)`, the
        shared vector last.
    Output shape: `(batch, T + 1, width of an expert)`, or T vectors for the last level.
    """

    def __init__(
        self,
        num_tasks: int,
        num_shared: int,
        num_specific: int,
        expert_units: Sequence[int],
        gate_units: Sequence[int],
        last: bool,
        activation,
        kernel_initializer,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.num_tasks = num_tasks
        self.num_specific = num_specific
        self.expert_units = expert_units
        both = num_shared + num_specific
        every = num_shared + num_tasks * num_specific
        # Name, number of networks, their layer widths, width of a linear output layer.
        rows: list[tuple[str, int, Sequence[int], int | None]] = [
            ("shared", num_shared, expert_units, None)
        ]
        if num_specific:
            rows.append(("specific", num_tasks * num_specific, expert_units, None))
        rows.append(("gates", num_tasks, gate_units, both))
        if not last:
            rows.append(("shared_gate", 1, gate_units, every))
        self.stacks: dict[str, StackedMLP] = {}
        self.num_kernels = 0
        for name, count, units, output in rows:
            self.stacks[name] = StackedMLP(
                count,
                units,
                output,
                output_bias=False,
                activation=activation,
                kernel_initializer=fresh(kernel_initializer, self.num_kernels),
                name=name,
                dtype=self.dtype_policy,
            )
            self.num_kernels += self.stacks[name].num_kernels

    def build(self, input_shape: Shape):
        """Builds the experts and the gates, each stacked in one layer."""
        for name, stack in self.stacks.items():
            stack.build(self._shape_for(name, input_shape))

    def call(self, inputs):
        """Computes the experts once and combines them for each task."""
        levels = len(inputs.shape) == 3
        tasks = inputs[:, : self.num_tasks] if levels else inputs
        shared = inputs[:, self.num_tasks] if levels else inputs
        common = self.stacks["shared"](shared)  # (B, S_shared, e)
        weights = softmax_gates(self.stacks["gates"](tasks))  # (B, T, S_own + S_shared)
        mixed = ops.matmul(weights[:, :, self.num_specific :], common)
        if self.num_specific:
            own = self._own(tasks)
            own_weights = ops.expand_dims(weights[:, :, : self.num_specific], 2)
            mixed = mixed + ops.squeeze(ops.matmul(own_weights, self._by_task(own)), axis=2)
            common = ops.concatenate([own, common], axis=1)
        if "shared_gate" not in self.stacks:
            return mixed
        weights = softmax_gates(self.stacks["shared_gate"](ops.expand_dims(shared, 1)))
        return ops.concatenate([mixed, ops.matmul(weights, common)], axis=1)

    def compute_output_shape(self, input_shape: Shape):
        """Returns `(batch, T + 1 or T, width of an expert)`."""
        more = "shared_gate" in self.stacks
        return (input_shape[0], self.num_tasks + more, self.expert_units[-1])

    def work(self, input_shape: Shape) -> Work:
        """Counts `(T·S_own + S_shared)·P(expert) + T·W·(S_own + S_shared)` parameters, plus `W·every`."""
        total = Work()
        for name, stack in self.stacks.items():
            work = stack.work(self._shape_for(name, input_shape))
            total += work
            if name in ("gates", "shared_gate"):
                outputs = stack.count * stack.steps[-1].units  # gates, one per task and expert
                sums = stack.count * self.expert_units[-1]
                total += Work(0, 2 * outputs * self.expert_units[-1], outputs + sums)
        return total

    def _own(self, tasks):
        """Returns the outputs of the task-specific experts: (B, T · S_own, e)."""
        if len(tasks.shape) == 3 and self.num_specific > 1:
            # Repeat the vector of each task for each of its experts.
            tasks = ops.stack([tasks] * self.num_specific, axis=2)
            count = self.num_tasks * self.num_specific
            tasks = ops.reshape(tasks, (-1, count, tasks.shape[-1]))
        return self.stacks["specific"](tasks)

    def _by_task(self, own):
        return ops.reshape(own, (-1, self.num_tasks, self.num_specific, own.shape[-1]))

    def _shape_for(self, name, input_shape):
        """Returns the input shape of one of the stacks."""
        width = check_known_width(self, input_shape)
        if name == "shared_gate":
            return (None, 1, width)
        if len(input_shape) == 2 or name == "shared":
            return (None, width)
        return (None, self.stacks[name].count, width)
