"""Multi-layer perceptron."""

from collections.abc import Sequence

import keras

from kranking._core import (
    fresh,
    serializable,
)
from kranking.layers.core._layer_chain import LayerChain


@serializable
class MLP(LayerChain):
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
        super().__init__(
            units, activation, dropout, batch_norm, epsilon, kernel_initializer, **kwargs
        )
        self.use_bias = bool(use_bias)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.steps = self._chain()

    def get_config(self):
        """Returns the constructor arguments."""
        return {
            **super().get_config(),
            "use_bias": self.use_bias,
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
        }

    def _steps(self, index):
        """Yields the layers for one entry of `units`, omitting those that are disabled."""
        yield keras.layers.Dense(
            self.units[index],
            # Without batch norm, Dense applies the activation and saves only what its gradient needs.
            activation=None if self.batch_norm else self.activation,
            use_bias=self.use_bias,
            kernel_initializer=fresh(self.kernel_initializer, index),
            kernel_regularizer=self.kernel_regularizer,
            name=f"dense_{index}",
            dtype=self.dtype_policy,
        )
        yield from self._after_projection(index, activation=self.batch_norm)
