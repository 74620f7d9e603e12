"""DLRM-style interaction with compressed dot products and token outputs."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from kranking._core import check_positive_int, check_positive_ints, fresh, serializable
from kranking.layers._contract._shapes import shapes_of
from kranking.layers._contract._tokens import check_tokens
from kranking.layers._contract._work import Work
from kranking.layers.core._mlp import MLP
from kranking.layers.dot._dot_compression import DotCompression


@serializable
class AdvancedDLRM(keras.layers.Layer):
    """Maps compressed dot products of all tokens to new tokens through an MLP.

    `v = MLP(vec(X Xᵀ Y) [‖ numeric])` and `u = reshape(v W_m)`, with `Y` of shape `(tokens, rank)`
    and `W_m` without bias.

    This is an interpretation and **not Meta's module** of the same name, which is unpublished. The
    DHEN paper only states that it is in the style of DLRM, outputs a vector, and is followed by
    `W_m`.

    Args:
        num_tokens: Number of output tokens, l. `None` keeps the number of input tokens; a `DHEN`
            layer fills it in.
        rank: Number of weighted sums with which every token is multiplied.
        units: Layer widths of the MLP.
        use_numeric: Whether to take raw numeric features in addition to the tokens.
        activation: Activation of every layer of the MLP.
        kernel_initializer: Initializer of every kernel.
        **kwargs: Keyword arguments of `keras.layers.Layer`.

    Input shape: `(batch, tokens, dim)`; with `use_numeric`, a list of it and numeric features
        `(batch, n)`.
    Output shape: `(batch, num_tokens, dim)`.

    >>> layer = kr.layers.AdvancedDLRM(num_tokens=2, rank=3, units=[16])
    >>> tuple(layer(np.ones((2, 5, 4), "float32")).shape)
    (2, 2, 4)

    Reference: [Zhang et al., 2022, which mentions it](https://arxiv.org/abs/2203.11014)
    """

    gives = "tokens"

    def __init__(
        self,
        num_tokens: int | None = None,
        rank: int = 8,
        units: Sequence[int] = (512, 256),
        use_numeric: bool = False,
        activation="relu",
        kernel_initializer="glorot_uniform",
        **kwargs,
    ):
        check_positive_int("num_tokens", num_tokens, optional=True)
        check_positive_int("rank", rank)
        units = check_positive_ints("units", units)
        super().__init__(**kwargs)
        self.num_tokens = num_tokens
        self.rank = rank
        self.units = units
        self.use_numeric = bool(use_numeric)
        self.activation = keras.activations.get(activation)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    @property
    def takes(self):
        """`"tokens"`, or `("tokens", "numeric")` with `use_numeric`."""
        return ("tokens", "numeric") if self.use_numeric else "tokens"

    def build(self, input_shape):
        """Builds the products, the MLP and the projection."""
        shape, width = self._split(input_shape)
        self.compression, self.mlp, self.projection = self._steps(shape)
        self.compression.build(shape)
        self.mlp.build((None, width))
        self.projection.build((None, self.units[-1]))

    def call(self, inputs, training=None):
        """Computes the products, applies the MLP and reshapes to tokens."""
        tokens, *numbers = inputs if isinstance(inputs, list | tuple) else [inputs]
        dots = self.compression(tokens)
        hidden = self.mlp(ops.concatenate([dots, *numbers], axis=-1) if numbers else dots)
        dim = tokens.shape[2]
        return ops.reshape(self.projection(hidden), (-1, self.projection.units // dim, dim))

    def compute_output_shape(self, input_shape):
        """Returns `(batch, num_tokens, dim)`."""
        (batch, tokens, dim), _ = self._split(input_shape)
        return (batch, self.num_tokens or tokens, dim)

    def work(self, input_shape) -> Work:
        """Counts `n·k + mlp + h·l·D` parameters, and `4·n·D·k` FLOPs plus those of both kernels."""
        shape, width = self._split(input_shape)
        compression, mlp, projection = self._steps(shape)
        total = compression.work(shape) + mlp.work((None, width))
        kernel = self.units[-1] * projection.units
        total += Work(kernel, 2 * kernel, projection.units)
        return total + Work(saved_elements=width * self.use_numeric)

    def get_config(self):
        """Returns the constructor arguments."""
        return {
            **super().get_config(),
            "num_tokens": self.num_tokens,
            "rank": self.rank,
            "units": self.units,
            "use_numeric": self.use_numeric,
            "activation": keras.activations.serialize(self.activation),
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }

    def _split(self, input_shape):
        """Returns the shape of the tokens and the input width of the MLP."""
        tokens, *numbers = shapes_of(input_shape)
        check_tokens(self, tokens)
        good = len(numbers) == self.use_numeric and all(len(shape) == 2 for shape in numbers)
        if not good or any(shape[1] is None for shape in numbers):
            wanted = (
                "a list of tokens and numeric features (batch, n)" if self.use_numeric else "tokens"
            )
            raise ValueError(
                f"`{self.name}` takes {wanted}, since use_numeric={self.use_numeric}. "
                f"Received: input_shape={shapes_of(input_shape)}"
            )
        return tokens, tokens[1] * self.rank + sum(shape[1] for shape in numbers)

    def _steps(self, shape) -> tuple[DotCompression, MLP, keras.layers.Dense]:
        """Returns the unbuilt layers."""
        initializer = self.kernel_initializer
        shared: dict[str, Any] = {"dtype": self.dtype_policy}
        mlp = MLP(
            self.units,
            activation=self.activation,
            kernel_initializer=fresh(initializer, 1),
            name="mlp",
            **shared,
        )
        projection = keras.layers.Dense(
            (self.num_tokens or shape[1]) * shape[2],
            use_bias=False,
            kernel_initializer=fresh(initializer, 1 + len(self.units)),
            name="projection",
            **shared,
        )
        return DotCompression(self.rank, initializer, name="compression", **shared), mlp, projection
