"""Joint projection of all tokens."""

from typing import Any

import keras
from keras import ops

from kranking._core import Shape, fresh
from kranking.layers._contract._tokens import check_tokens
from kranking.layers._contract._work import Work, work_of
from kranking.layers.core._stacked_mlp import StackedDense


class CompositeProjection(keras.layers.Layer):
    """Internal: maps every token to a linear function of all tokens, `vec(Y) = vec(X) K̂`.

    Args:
        num_heads: Number of heads, each with its own factors.
        rank: Rank of each head's factored kernel, `K̂ = L R`. `None` uses the full kernel.
        kernel_initializer: Initializer of every kernel.
        **kwargs: Keyword arguments of `keras.layers.Layer`.

    Input shape: `(batch, tokens, dim)`.
    Output shape: the input shape.
    """

    def __init__(self, num_heads: int, rank: int | None, kernel_initializer: Any, **kwargs):
        super().__init__(**kwargs)
        self.num_heads = num_heads
        self.rank = rank
        self.kernel_initializer = kernel_initializer

    def build(self, input_shape: Shape):
        """Builds the kernel, or its two factors."""
        self.factors = []
        for layer, shape in self._parts(input_shape):
            layer.build(shape)
            self.factors.append(layer)

    def call(self, inputs):
        """Projects all tokens jointly."""
        tokens, dim = inputs.shape[1:]
        outputs = self.factors[0](ops.reshape(inputs, (-1, tokens * dim)))
        if self.rank is not None:
            outputs = ops.reshape(outputs, (-1, self.num_heads, self.rank))
            outputs = self.factors[1](outputs)  # (B, heads, tokens · dim / heads)
            outputs = ops.reshape(outputs, (-1, self.num_heads, tokens, dim // self.num_heads))
            outputs = ops.transpose(outputs, (0, 2, 1, 3))
        return ops.reshape(outputs, (-1, tokens, dim))

    def compute_output_shape(self, input_shape: Shape):
        """Returns the input shape."""
        return input_shape

    def work(self, input_shape: Shape) -> Work:
        """Counts `n²d²` parameters, or `heads · r · n(d + d/heads)` with a rank, and twice the FLOPs."""
        return sum((work_of(*part) for part in self._parts(input_shape)), Work())

    def _parts(self, input_shape):
        """Returns the unbuilt layers, each with its input shape."""
        tokens, dim = check_tokens(self, input_shape)
        width, shared = tokens * dim, {"use_bias": False, "dtype": self.dtype_policy}
        units = width if self.rank is None else self.num_heads * self.rank
        name = "kernel" if self.rank is None else "down"
        initializer = fresh(self.kernel_initializer)
        down = keras.layers.Dense(units, kernel_initializer=initializer, name=name, **shared)
        if self.rank is None:
            return [(down, (None, width))]
        initializer = fresh(self.kernel_initializer, 1)
        up = StackedDense(
            self.num_heads,
            width // self.num_heads,
            kernel_initializer=initializer,
            name="up",
            **shared,
        )
        return [(down, (None, width)), (up, (None, self.num_heads, self.rank))]
