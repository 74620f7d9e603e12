"""Base class of heads with a tower per task."""

from collections.abc import Sequence

import keras

from kranking._core import Shape, check_positive_int, check_positive_ints
from kranking.layers._contract._open_arguments import required_argument


class TaskHeads(keras.layers.Layer):
    """Base class: one logit per task from a flat vector, with a tower per task."""

    takes = "flat"
    gives = "flat"

    def __init__(
        self,
        num_tasks: int | None,
        tower_units: Sequence[int],
        activation,
        kernel_initializer,
        **kwargs,
    ):
        check_positive_int("num_tasks", num_tasks, optional=True)
        tower_units = check_positive_ints("tower_units", tower_units, empty=True)
        super().__init__(**kwargs)
        self.num_tasks = num_tasks
        self.tower_units = tower_units
        self.activation = keras.activations.get(activation)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def compute_output_shape(self, input_shape: Shape):
        """Returns `(batch, num_tasks)`."""
        return (input_shape[0], self._task_count())

    def get_config(self):
        """Returns the shared constructor arguments."""
        return {
            **super().get_config(),
            "num_tasks": self.num_tasks,
            "tower_units": self.tower_units,
            "activation": keras.activations.serialize(self.activation),
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }

    def _task_count(self) -> int:
        return required_argument(self, "num_tasks", "tasks")
