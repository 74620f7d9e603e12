"""Stack of factorized interactions (FINAL block)."""

from collections.abc import Sequence

import keras

from kranking._core import (
    check_choice,
    fresh,
    serializable,
)
from kranking.layers.core._layer_chain import LayerChain
from kranking.layers.factorization._factorized_interaction import MERGES, FactorizedInteraction


@serializable
class FactorizedNetwork(LayerChain):
    """FINAL block: a stack of factorized interactions with optional batch norm and dropout.

    `h[j] = dropout(activation(BN(F_j(h[j-1]))))` for each entry of `units`, where `F_j` is a
    `FactorizedInteraction`. Without activations, `n` layers are a polynomial of degree `2ⁿ` at
    inference, where batch norm is linear.

    Args:
        units: Width of each layer; even for `merge="concat"`.
        merge: How a factorized interaction is combined with its first factor: `"concat"` or
            `"sum"`.
        activation: Activation of every layer.
        dropout: Fraction of activations dropped in training, after every layer.
        batch_norm: Whether to batch-normalize every interaction, with momentum 0.9.
        epsilon: Epsilon of the batch norm.
        kernel_initializer: Initializer of every kernel.
        **kwargs: Keyword arguments of `keras.layers.Layer`.

    Input shape: `(batch, ..., width)`.
    Output shape: `(batch, ..., units[-1])`.

    >>> tuple(kr.layers.FactorizedNetwork([8, 4])(np.ones((2, 6), "float32")).shape)
    (2, 4)

    Reference: [Zhu et al., 2023](https://doi.org/10.1145/3539618.3591988)
    """

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
        check_choice("merge", merge, MERGES)
        super().__init__(
            units, activation, dropout, batch_norm, epsilon, kernel_initializer, **kwargs
        )
        self.merge = merge
        self.steps = self._chain()

    def get_config(self):
        """Returns the constructor arguments."""
        return {
            **super().get_config(),
            "merge": self.merge,
        }

    def _steps(self, index):
        """Yields the layers for one entry of `units`, omitting those that are disabled."""
        yield FactorizedInteraction(
            self.units[index],
            merge=self.merge,
            kernel_initializer=fresh(self.kernel_initializer, index),
            name=f"interaction_{index}",
            dtype=self.dtype_policy,
        )
        activation = self.activation is not keras.activations.linear
        yield from self._after_projection(index, activation)
