"""Shared-bottom heads."""

from collections.abc import Sequence

import keras
from keras import ops

from kranking._core import (
    Shape,
    check_known_width,
    fresh,
    serializable,
)
from kranking.layers._contract._work import Work, dense_work
from kranking.layers.core._mlp import MLP
from kranking.layers.heads._task_heads import TaskHeads


@serializable
class SharedBottom(TaskHeads):
    """Shared-bottom heads: one logit per task, from one shared vector.

    `logit_t = tower_t(h) · w_t + b_t`; without towers, `logit_t = h · w_t + b_t`.

    Args:
        num_tasks: Number of tasks. `None` lets `RankingModel` fill it in; required if the layer is
            used on its own.
        tower_units: Hidden widths of each task's tower. Empty for no towers.
        activation: Activation of the towers.
        kernel_initializer: Initializer of every kernel.
        **kwargs: Keyword arguments of `keras.layers.Layer`.

    Input shape: `(batch, width)`.
    Output shape: `(batch, num_tasks)`, logits.

    >>> tuple(kr.layers.SharedBottom(num_tasks=3)(np.ones((2, 6), "float32")).shape)
    (2, 3)

    Reference: [Caruana, 1997](https://doi.org/10.1023/A:1007379606734)
    """

    def __init__(
        self,
        num_tasks: int | None = None,
        tower_units: Sequence[int] = (),
        activation="relu",
        kernel_initializer="glorot_uniform",
        **kwargs,
    ):
        super().__init__(num_tasks, tower_units, activation, kernel_initializer, **kwargs)

    def build(self, input_shape: Shape):
        """Builds the towers and the logit projections, one for all tasks if there are no towers."""
        width = check_known_width(self, input_shape)
        tasks = self._task_count()
        per_task = len(self.tower_units) + 1
        with_tower = range(tasks) if self.tower_units else ()
        self.towers = [self._tower(task, task * per_task) for task in with_tower]
        for tower in self.towers:
            tower.build(input_shape)
        inner = self.tower_units[-1] if self.tower_units else width
        units = [1] * tasks if self.tower_units else [tasks]
        self.logits = [
            self._dense(count, task, (task + 1) * per_task - 1) for task, count in enumerate(units)
        ]
        for dense in self.logits:
            dense.build((None, inner))

    def call(self, inputs, training=None):
        """Returns the logits."""
        if not self.towers:
            return self.logits[0](inputs)
        pairs = zip(self.towers, self.logits, strict=True)
        outputs = [logit(tower(inputs)) for tower, logit in pairs]
        return outputs[0] if len(outputs) == 1 else ops.concatenate(outputs, axis=-1)

    def work(self, input_shape: Shape) -> Work:
        """Counts `T(W + 1)` parameters without towers."""
        tasks = self._task_count()
        if not self.tower_units:
            return dense_work(check_known_width(self, input_shape), tasks)
        tower = MLP(self.tower_units, activation=self.activation).work(input_shape)
        tower += dense_work(self.tower_units[-1], 1)
        return sum((tower for _ in range(tasks)), Work(saved_elements=tasks))

    def _tower(self, task, index):
        return MLP(
            self.tower_units,
            activation=self.activation,
            kernel_initializer=fresh(self.kernel_initializer, index),
            name=f"tower_{task}",
            dtype=self.dtype_policy,
        )

    def _dense(self, units, task, index):
        return keras.layers.Dense(
            units,
            kernel_initializer=fresh(self.kernel_initializer, index),
            name=f"logits_{task}",
            dtype=self.dtype_policy,
        )
