"""Tokenizer that splits a flat vector into a fixed number of tokens."""

import keras
from keras import ops

from kranking._core import (
    Shape,
    check_known_width,
    check_positive_int,
    serializable,
)
from kranking.layers._contract._work import Work
from kranking.layers.core._stacked_mlp import StackedDense


@serializable
class SemanticTokenizer(keras.layers.Layer):
    """Splits a flat vector into slices of equal width and projects each slice to a token.

    `x_t = slice_t P_t + b_t` for T slices of width `w = ⌈W / T⌉`, padded with zeros at the end.
    Features in the same slice share a token, so declare related features next to each other: all
    user features, then all item features. Each slice has its own projection; whether the paper
    shares one projection is unverified.

    Args:
        num_tokens: Number of tokens, T.
        dim: Width of every token.
        kernel_initializer: Initializer of every projection.
        **kwargs: Keyword arguments of `keras.layers.Layer`.

    Input shape: `(batch, width)`.
    Output shape: `(batch, num_tokens, dim)`.

    >>> tuple(kr.layers.SemanticTokenizer(num_tokens=4, dim=8)(np.ones((2, 10), "float32")).shape)
    (2, 4, 8)

    Reference: [Zhu et al., 2025](https://arxiv.org/abs/2507.15551)
    """

    takes = "flat"
    gives = "tokens"

    def __init__(
        self, num_tokens: int = 16, dim: int = 64, kernel_initializer="glorot_uniform", **kwargs
    ):
        check_positive_int("num_tokens", num_tokens)
        check_positive_int("dim", dim)
        super().__init__(**kwargs)
        self.num_tokens = num_tokens
        self.dim = dim
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape: Shape):
        """Builds the projections, stacked in one layer."""
        self.projection = self._projection()
        self.projection.build(self._slices(input_shape))
        self.input_spec = keras.layers.InputSpec(ndim=2, axes={-1: input_shape[-1]})

    def call(self, inputs):
        """Pads, splits and projects the input."""
        _, count, width = self._slices(inputs.shape)
        missing = count * width - inputs.shape[-1]
        if missing:
            inputs = ops.pad(inputs, ((0, 0), (0, missing)))
        return self.projection(ops.reshape(inputs, (-1, count, width)))

    def compute_output_shape(self, input_shape: Shape):
        """Returns `(batch, num_tokens, dim)`."""
        return (input_shape[0], self.num_tokens, self.dim)

    def work(self, input_shape: Shape) -> Work:
        """Counts `T(wD + D)` parameters and `2TwD` FLOPs."""
        shape = self._slices(input_shape)
        return self._projection().work(shape) + Work(saved_elements=shape[1] * shape[2])

    def get_config(self):
        """Returns the constructor arguments."""
        return {
            **super().get_config(),
            "num_tokens": self.num_tokens,
            "dim": self.dim,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }

    def _slices(self, input_shape):
        """Returns the shape of the slices."""
        width = check_known_width(self, input_shape)
        return (input_shape[0], self.num_tokens, -(-width // self.num_tokens))

    def _projection(self):
        return StackedDense(
            self.num_tokens,
            self.dim,
            kernel_initializer=self.kernel_initializer,
            name="projection",
            dtype=self.dtype_policy,
        )
