"""Multi-layer perceptron."""

from collections.abc import Sequence

import keras

from kranking._core import (
    Shape,
    check_known_width,
    check_number,
    check_positive_ints,
    fresh,
    serializable,
)
from kranking.layers._contract._work import Work, work_of_chain

_MOMENTUM = (
    0.9  # PyTorch's default; with Keras's 0.99, an epoch of large batches is too short to converge.
)


@serializable
class MLP(keras.layers.Layer):
    """Multi-layer perceptron: dense layers with optional batch norm and dropout.

    `h[j] = dropout(activation(BN(h[j-1] A[j] + b[j])))` for each entry of `units`, including the
    last.

    Args:
        units: Width of each layer.
        activation: Activation of every layer.
        dropout: Fraction of activations dropped in training, after every layer.
        batch_norm: Whether to batch-normalize every projection, with momentum 0.9.
        use_bias: Whether to add a bias to every projection.
        epsilon: Epsilon of the batch norm.
        kernel_initializer: Initializer of every kernel.
        kernel_regularizer: Regularizer of every kernel.
        **kwargs: Keyword arguments of `keras.layers.Layer`.

    Input shape: `(batch, ..., width)`.
    Output shape: `(batch, ..., units[-1])`.

    >>> tuple(kr.layers.MLP([8, 4])(np.ones((2, 6), "float32")).shape)
    (2, 4)
    """

    takes = "flat"
    gives = "flat"

    def __init__(
        self,
        units: Sequence[int],
        activation="relu",
        dropout: float = 0.0,
        batch_norm: bool = False,
        use_bias: bool = True,
        epsilon: float = 1e-5,
        kernel_initializer="glorot_uniform",
        kernel_regularizer=None,
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
        self.use_bias = bool(use_bias)
        self.epsilon = epsilon
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.steps = [step for index in range(len(units)) for step in self._steps(index)]

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
            "use_bias": self.use_bias,
            "epsilon": self.epsilon,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
        }

    def _steps(self, index):
        """Yields the layers for one entry of `units`, omitting those that are disabled."""
        shared = {"dtype": self.dtype_policy}
        yield keras.layers.Dense(
            self.units[index],
            # Without batch norm, Dense applies the activation and saves only what its gradient needs.
            activation=None if self.batch_norm else self.activation,
            use_bias=self.use_bias,
            kernel_initializer=fresh(self.kernel_initializer, index),
            kernel_regularizer=self.kernel_regularizer,
            name=f"dense_{index}",
            **shared,
        )
        if self.batch_norm:
            yield keras.layers.BatchNormalization(
                momentum=_MOMENTUM, epsilon=self.epsilon, name=f"norm_{index}", **shared
            )
            yield keras.layers.Activation(self.activation, name=f"activation_{index}", **shared)
        if self.dropout:
            yield keras.layers.Dropout(self.dropout, name=f"dropout_{index}", **shared)
