"""Stack of factorized interactions: a FINAL block."""

from collections.abc import Sequence

import keras

from kranking._core import (
    Shape,
    check_choice,
    check_known_width,
    check_number,
    check_positive_ints,
    fresh,
    serializable,
)
from kranking.layers._contract._work import Work, work_of_chain
from kranking.layers.factorization._factorized_interaction import MERGES, FactorizedInteraction

_MOMENTUM = 0.9  # PyTorch's 0.1, as in MLP


@serializable
class FactorizedNetwork(keras.layers.Layer):
    """Stacks factorized interactions, as `MLP` stacks dense layers: a FINAL block.

    `h[j] = dropout(activation(BN(F_j(h[j-1]))))` for each entry of `units`, where `F_j` is a
    `FactorizedInteraction`. Without activation and at prediction, when batch norm is linear, `n` layers
    are a polynomial of degree `2ⁿ`.

    Args:
        units: Width of each layer; even for `merge="concat"`.
        merge: How a factorized interaction keeps its first factor: `"concat"` or `"sum"`.
        activation: Activation of every layer.
        dropout: Fraction of activations dropped in training, after every layer.
        batch_norm: Normalizes what every interaction gives over the batch, with momentum 0.9.
        epsilon: Epsilon of the batch norm.
        kernel_initializer: Initializer of every kernel.
        **kwargs: Keyword arguments of `keras.layers.Layer`.

    Input shape: `(batch, ..., width)`.
    Output shape: `(batch, ..., units[-1])`.

    >>> tuple(kr.layers.FactorizedNetwork([8, 4])(np.ones((2, 6), "float32")).shape)
    (2, 4)

    Reference: [Zhu et al., 2023](https://doi.org/10.1145/3539618.3591988)
    """

    takes = "flat"
    gives = "flat"

    def __init__(
        self,
        units: Sequence[int],
        merge: str = "concat",
        activation=None,
        dropout: float = 0.0,
        batch_norm: bool = True,
        epsilon: float = 1e-5,
        kernel_initializer="glorot_uniform",
        **kwargs,
    ):
        units = check_positive_ints("units", units)
        check_choice("merge", merge, MERGES)
        check_number("dropout", dropout, low=0.0, high=0.999)
        check_number("epsilon", epsilon, low=0.0)
        super().__init__(**kwargs)
        self.units = units
        self.merge = merge
        self.activation = keras.activations.get(activation)
        self.dropout = dropout
        self.batch_norm = bool(batch_norm)
        self.epsilon = epsilon
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.steps = [step for index in range(len(units)) for step in self._steps(index)]

    def build(self, input_shape: Shape):
        """Builds every step."""
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
        """Returns the input shape with `units[-1]` last."""
        return (*input_shape[:-1], self.units[-1])

    def work(self, input_shape: Shape) -> Work:
        """Sums the work of the steps."""
        return work_of_chain(self.steps, input_shape)

    def get_config(self):
        """Returns the constructor arguments."""
        return {
            **super().get_config(),
            "units": self.units,
            "merge": self.merge,
            "activation": keras.activations.serialize(self.activation),
            "dropout": self.dropout,
            "batch_norm": self.batch_norm,
            "epsilon": self.epsilon,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }

    def _steps(self, index):
        """Returns the layers of one entry of `units`; those that would do nothing are left out."""
        shared = {"dtype": self.dtype_policy}
        yield FactorizedInteraction(
            self.units[index],
            merge=self.merge,
            kernel_initializer=fresh(self.kernel_initializer, index),
            name=f"interaction_{index}",
            **shared,
        )
        if self.batch_norm:
            yield keras.layers.BatchNormalization(
                momentum=_MOMENTUM, epsilon=self.epsilon, name=f"norm_{index}", **shared
            )
        if self.activation is not keras.activations.linear:
            yield keras.layers.Activation(self.activation, name=f"activation_{index}", **shared)
        if self.dropout:
            yield keras.layers.Dropout(self.dropout, name=f"dropout_{index}", **shared)
