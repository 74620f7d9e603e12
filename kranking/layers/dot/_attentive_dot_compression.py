"""Dot products of tokens with input-dependent weighted sums of the tokens."""

from collections.abc import Sequence

import keras
from keras import ops

from kranking._core import (
    Shape,
    check_positive_int,
    check_positive_ints,
    fresh,
    serializable,
)
from kranking.layers._contract._tokens import check_tokens
from kranking.layers._contract._work import Work, work_of_chain
from kranking.layers.core._token_linear import TokenLinear
from kranking.layers.dot._dot_compression import compressed_dots, compressed_dots_work


@serializable
class AttentiveDotCompression(keras.layers.Layer):
    """Dot products of every token with `rank` weighted sums, whose weights depend on the input.

    `Y(X) = reshape(MLP(vec(W X)))`, of shape `(tokens, rank)`, and `Z = X (Xᵀ Y(X))`, flattened row
    by row. `W` first reduces the tokens to `num_sums` weighted sums, which keeps the MLP small. The
    last layer of the MLP is linear. There is no softmax, since the paper mentions none; the depth
    of the MLP in the paper is unverified.

    Args:
        rank: Number of weighted sums with which the tokens are multiplied, k.
        num_sums: Number of weighted sums that the MLP reads, c.
        units: Hidden widths of the MLP. If empty, the MLP is linear.
        activation: Activation of the hidden layers.
        kernel_initializer: Initializer of every kernel.
        **kwargs: Keyword arguments of `keras.layers.Layer`.

    Input shape: `(batch, tokens, dim)`.
    Output shape: `(batch, tokens · rank)`.

    >>> layer = kr.layers.AttentiveDotCompression(rank=3, num_sums=2, units=[16])
    >>> tuple(layer(np.ones((2, 5, 4), "float32")).shape)
    (2, 15)

    Reference: [Zhang et al., 2024, section 3.6](https://arxiv.org/abs/2403.02545)
    """

    takes = "tokens"
    gives = "flat"

    def __init__(
        self,
        rank: int = 8,
        num_sums: int = 8,
        units: Sequence[int] = (256,),
        activation="relu",
        kernel_initializer="glorot_uniform",
        **kwargs,
    ):
        check_positive_int("rank", rank)
        check_positive_int("num_sums", num_sums)
        units = check_positive_ints("units", units, empty=True)
        super().__init__(**kwargs)
        self.rank = rank
        self.num_sums = num_sums
        self.units = units
        self.activation = keras.activations.get(activation)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape: Shape):
        """Builds the sums and the MLP."""
        tokens, dim = check_tokens(self, input_shape)
        self.compression, *self.mlp = self._steps(tokens)
        self.compression.build(input_shape)
        shape: Shape = (None, self.num_sums * dim)
        for dense in self.mlp:
            dense.build(shape)
            shape = dense.compute_output_shape(shape)
        self.input_spec = keras.layers.InputSpec(ndim=3, axes={1: tokens, 2: dim})

    def call(self, inputs):
        """Computes the weights of the sums, then the dot products of all tokens with the sums."""
        tokens, dim = inputs.shape[1:]
        weights = ops.reshape(self.compression(inputs), (-1, self.num_sums * dim))
        for dense in self.mlp:
            weights = dense(weights)
        dots = compressed_dots(inputs, ops.reshape(weights, (-1, tokens, self.rank)))
        return ops.cast(dots, self.compute_dtype)

    def compute_output_shape(self, input_shape: Shape):
        """Returns `(batch, tokens · rank)`."""
        return (input_shape[0], check_tokens(self, input_shape)[0] * self.rank)

    def work(self, input_shape: Shape) -> Work:
        """Counts `n·c + mlp` parameters, and `2·n·c·D + 4·n·D·k` FLOPs plus those of the MLP."""
        tokens, dim = check_tokens(self, input_shape)
        compression, *mlp = self._steps(tokens)
        total = compression.work(input_shape) + work_of_chain(mlp, (None, self.num_sums * dim))
        return total + compressed_dots_work(tokens, dim, self.rank)

    def get_config(self):
        """Returns the constructor arguments."""
        return {
            **super().get_config(),
            "rank": self.rank,
            "num_sums": self.num_sums,
            "units": self.units,
            "activation": keras.activations.serialize(self.activation),
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }

    def _steps(self, tokens):
        """Returns the unbuilt layers that compute the weights from the tokens."""
        initializer, shared = self.kernel_initializer, {"dtype": self.dtype_policy}
        steps = [TokenLinear(self.num_sums, fresh(initializer), name="compression", **shared)]
        last = len(self.units)
        for index, units in enumerate((*self.units, tokens * self.rank)):
            steps.append(
                keras.layers.Dense(
                    units,
                    activation=None if index == last else self.activation,
                    kernel_initializer=fresh(initializer, 1 + index),
                    name=f"dense_{index}",
                    **shared,
                )
            )
        return steps
