"""Base class of `MLP` and `FactorizedNetwork`."""

from collections.abc import Iterator, Sequence

import keras

from kranking._core import Shape, check_known_width, check_number, check_positive_ints
from kranking.layers._contract._work import Work, work_of_chain

# PyTorch's default; with Keras's 0.99, an epoch of large batches is too short to converge.
_MOMENTUM = 0.9


class LayerChain(keras.layers.Layer):
    """Base class: a projection, batch norm, activation and dropout for each entry of `units`.

    Subclasses create the layers of one entry in `_steps` and call `_chain` at the end of
    `__init__`.
    """

    takes = "flat"
    gives = "flat"

    def __init__(
        self,
        units: Sequence[int],
        activation,
        dropout: float,
        batch_norm: bool,
        epsilon: float,
        kernel_initializer,
        **kwargs,
    ):
        units = check_positive_ints("units", units)
        check_number("dropout", dropout, low=0.0, high=0.999)
        check_number("epsilon", epsilon, low=0.0)
        super().__init__(**kwargs)
        self.units = units
        self.activation = keras.activations.get(activation)
        self.dropout = dropout
        self.batch_norm = bool(batch_norm)
        self.epsilon = epsilon
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape: Shape):
        """Builds all steps."""
        check_known_width(self, input_shape)
        for step in self.steps:
            step.build(input_shape)
            input_shape = step.compute_output_shape(input_shape)

    def call(self, inputs, training=None):
        """Runs the steps; Keras passes `training` to batch norm and dropout."""
        for step in self.steps:
            inputs = step(inputs)
        return inputs

    def compute_output_shape(self, input_shape: Shape):
        """Returns the input shape with the last axis replaced by `units[-1]`."""
        return (*input_shape[:-1], self.units[-1])

    def work(self, input_shape: Shape) -> Work:
        """Sums the work of the steps."""
        return work_of_chain(self.steps, input_shape)

    def get_config(self):
        """Returns the constructor arguments."""
        return {
            **super().get_config(),
            "units": self.units,
            "activation": keras.activations.serialize(self.activation),
            "dropout": self.dropout,
            "batch_norm": self.batch_norm,
            "epsilon": self.epsilon,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }

    def _chain(self) -> list[keras.layers.Layer]:
        """Returns the layers for all entries of `units`, in order."""
        return [step for index in range(len(self.units)) for step in self._steps(index)]

    def _steps(self, index: int) -> Iterator[keras.layers.Layer]:
        """Yields the layers for one entry of `units`, omitting those that are disabled."""
        raise NotImplementedError

    def _after_projection(self, index: int, activation: bool) -> Iterator[keras.layers.Layer]:
        """Yields batch norm, activation and dropout for one entry of `units`."""
        shared = {"dtype": self.dtype_policy}
        if self.batch_norm:
            yield keras.layers.BatchNormalization(
                momentum=_MOMENTUM, epsilon=self.epsilon, name=f"norm_{index}", **shared
            )
        if activation:
            yield keras.layers.Activation(self.activation, name=f"activation_{index}", **shared)
        if self.dropout:
            yield keras.layers.Dropout(self.dropout, name=f"dropout_{index}", **shared)
