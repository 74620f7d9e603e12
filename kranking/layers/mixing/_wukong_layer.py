"""Wukong layer."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from kranking._core import (
    Shape,
    check_number,
    check_positive_int,
    check_positive_ints,
    fresh,
    serializable,
)
from kranking.layers._contract._tokens import check_tokens
from kranking.layers._contract._work import Work, work_of_chain
from kranking.layers.core._token_linear import TokenLinear
from kranking.layers.dot._dot_compression import DotCompression


@serializable
class WukongLayer(keras.layers.Layer):
    """Wukong layer: a factorization machine block and a linear compression block in parallel.

    `Y = LN([FMB(X); LCB(X)] + X)`, concatenated along the token axis in this order.
    `FMB(X) = reshape(MLP(LN(vec(X Xᵀ K))))`, where `K` has shape `(tokens, fmb_rank_k)` and the
    last layer of the MLP is linear, outputs `fmb_features` tokens of higher orders. `LCB(X) = W X`,
    a `TokenLinear`, outputs `lcb_features` tokens of lower orders. If the number of tokens changes,
    the residual is a `TokenLinear` of `X`. Both `TokenLinear` layers have no bias.

    Layer i of a stack covers interactions of orders 1 to 2^i. Implementations of Wukong differ:
    FuxiCTR applies a ReLU to the output of FMB and adds a bias to the residual; others use batch
    norm in the MLP.

    Args:
        fmb_features: Number of output tokens of FMB, n_F.
        lcb_features: Number of output tokens of LCB, n_L.
        fmb_rank_k: Number of weighted sums with which the tokens are multiplied in FMB, k.
        fmb_mlp_units: Hidden widths of the MLP in FMB.
        activation: Activation of the hidden layers.
        epsilon: Epsilon of both norms.
        kernel_initializer: Initializer of every kernel.
        **kwargs: Keyword arguments of `keras.layers.Layer`.

    Input shape: `(batch, tokens, dim)`.
    Output shape: `(batch, fmb_features + lcb_features, dim)`.

    >>> layer = kr.layers.WukongLayer(fmb_features=2, lcb_features=3, fmb_rank_k=4)
    >>> tuple(layer(np.ones((2, 6, 8), "float32")).shape)
    (2, 5, 8)

    Reference: [Zhang et al., 2024](https://arxiv.org/abs/2403.02545)
    """

    takes = "tokens"
    gives = "tokens"

    def __init__(
        self,
        fmb_features: int = 8,
        lcb_features: int = 8,
        fmb_rank_k: int = 24,
        fmb_mlp_units: Sequence[int] = (512, 256),
        activation="relu",
        epsilon: float = 1e-5,
        kernel_initializer="glorot_uniform",
        **kwargs,
    ):
        check_positive_int("fmb_features", fmb_features)
        check_positive_int("lcb_features", lcb_features)
        check_positive_int("fmb_rank_k", fmb_rank_k)
        fmb_mlp_units = check_positive_ints("fmb_mlp_units", fmb_mlp_units, empty=True)
        check_number("epsilon", epsilon, low=0.0)
        super().__init__(**kwargs)
        self.fmb_features = fmb_features
        self.lcb_features = lcb_features
        self.fmb_rank_k = fmb_rank_k
        self.fmb_mlp_units = fmb_mlp_units
        self.activation = keras.activations.get(activation)
        self.epsilon = epsilon
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape: Shape):
        """Builds both blocks, the residual and the norm."""
        tokens, dim = check_tokens(self, input_shape)
        self.fmb = self._fmb(dim)
        shape = input_shape
        for step in self.fmb:
            step.build(shape)
            shape = step.compute_output_shape(shape)
        self.lcb = self._token_linear("lcb", self.lcb_features, 0)
        self.lcb.build(input_shape)
        self.residual = self._residual(tokens)
        if self.residual is not None:
            self.residual.build(input_shape)
        self.norm = self._norm("norm")
        self.norm.build((None, self._num_tokens, dim))
        self.input_spec = keras.layers.InputSpec(ndim=3, axes={1: tokens, 2: dim})

    def call(self, inputs):
        """Concatenates the outputs of both blocks, adds the residual and normalizes."""
        crossed = inputs
        for step in self.fmb:
            crossed = step(crossed)
        crossed = ops.reshape(crossed, (-1, self.fmb_features, inputs.shape[2]))
        outputs = ops.concatenate([crossed, self.lcb(inputs)], axis=1)
        return self.norm(outputs + (inputs if self.residual is None else self.residual(inputs)))

    def compute_output_shape(self, input_shape: Shape):
        """Returns `(batch, fmb_features + lcb_features, dim)`."""
        _, dim = check_tokens(self, input_shape)
        return (input_shape[0], self._num_tokens, dim)

    def work(self, input_shape: Shape) -> Work:
        """Counts FMB, LCB, the residual and the norm, for n input and m = n_F + n_L output tokens.

        `n·k + 2nk + mlp(n·k; …, n_F·D) + n·n_L [+ n·m if n ≠ m] + 2D` parameters and
        `4nkD + 2nk·h₁ + … + 2h·n_F·D + 2n·n_L·D [+ 2n·m·D]` FLOPs.
        """
        tokens, dim = check_tokens(self, input_shape)
        total = work_of_chain(self._fmb(dim), input_shape)
        total += self._token_linear("lcb", self.lcb_features, 0).work(input_shape)
        residual = self._residual(tokens)
        if residual is not None:
            total += residual.work(input_shape)
        made = self._num_tokens * dim
        return total + Work(2 * dim, 0, 2 * made)  # the sum and its norm

    def get_config(self):
        """Returns the constructor arguments."""
        return {
            **super().get_config(),
            "fmb_features": self.fmb_features,
            "lcb_features": self.lcb_features,
            "fmb_rank_k": self.fmb_rank_k,
            "fmb_mlp_units": self.fmb_mlp_units,
            "activation": keras.activations.serialize(self.activation),
            "epsilon": self.epsilon,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }

    @property
    def _num_tokens(self):
        return self.fmb_features + self.lcb_features

    def _fmb(self, dim) -> list[Any]:
        """Returns the unbuilt layers of the factorization machine block."""
        shared: dict[str, Any] = {"dtype": self.dtype_policy}
        first = fresh(self.kernel_initializer, 2)
        steps: list[Any] = [
            DotCompression(self.fmb_rank_k, first, name="fmb_dots", **shared),
            self._norm("fmb_norm"),
        ]
        last = len(self.fmb_mlp_units)
        for index, units in enumerate((*self.fmb_mlp_units, self.fmb_features * dim)):
            dense = keras.layers.Dense(
                units,
                activation=None if index == last else self.activation,
                kernel_initializer=fresh(self.kernel_initializer, 3 + index),
                name=f"fmb_dense_{index}",
                **shared,
            )
            steps.append(dense)
        return steps

    def _residual(self, tokens):
        """Returns the projection of the residual, or `None` if the number of tokens does not change."""
        same = tokens == self._num_tokens
        return None if same else self._token_linear("residual", self._num_tokens, 1)

    def _token_linear(self, name, count, index):
        initializer = fresh(self.kernel_initializer, index)
        return TokenLinear(count, initializer, name=name, dtype=self.dtype_policy)

    def _norm(self, name):
        return keras.layers.LayerNormalization(
            epsilon=self.epsilon, name=name, dtype=self.dtype_policy
        )
