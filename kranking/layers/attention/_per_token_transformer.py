"""Base class of Transformer layers with separate weights for every token."""

from typing import Any

import keras
from keras import ops

from kranking import ops as kops
from kranking._core import Shape, check_number, check_positive_int, fresh
from kranking.layers._contract._tokens import check_tokens
from kranking.layers._contract._work import Work, work_of
from kranking.layers.core._stacked_mlp import StackedDense


class PerTokenTransformer(keras.layers.Layer):
    """Base class: attention with per-token queries, and a feed-forward network per token.

    Subclasses define in `_readers` how keys and values are computed from the tokens.

    Args:
        num_heads: Number of attention heads; divides the tokens' dim.
        feedforward_dim: Hidden width of the feed-forward networks.
        norm_first: Whether to normalize before attention and before the networks rather than after.
        activation: Activation of the feed-forward networks.
        num_queries: Number of tokens to return, the last ones; all tokens are read. `None` returns
            all.
        epsilon: Epsilon of both norms.
        kernel_initializer: Initializer of every kernel.
        **kwargs: Keyword arguments of `keras.layers.Layer`.
    """

    takes = "tokens"
    gives = "tokens"

    def __init__(
        self,
        num_heads: int,
        feedforward_dim: int,
        norm_first: bool,
        activation: Any,
        num_queries: int | None,
        epsilon: float,
        kernel_initializer: Any,
        **kwargs,
    ):
        check_positive_int("num_heads", num_heads)
        check_positive_int("feedforward_dim", feedforward_dim)
        check_positive_int("num_queries", num_queries, optional=True)
        check_number("epsilon", epsilon, low=0.0)
        super().__init__(**kwargs)
        self.num_heads = num_heads
        self.feedforward_dim = feedforward_dim
        self.norm_first = bool(norm_first)
        self.activation = keras.activations.get(activation)
        self.num_queries = num_queries
        self.epsilon = epsilon
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape: Shape):
        """Builds the projections, the feed-forward networks and two norms."""
        tokens, dim, queries = self._check(input_shape)
        for layer, shape in self._parts(tokens, dim, queries):
            layer.build(shape)
            setattr(self, layer.name, layer)
        for name, count in (
            ("norm_attention", tokens if self.norm_first else queries),
            ("norm_feedforward", queries),
        ):
            norm = keras.layers.LayerNormalization(
                epsilon=self.epsilon, name=name, dtype=self.dtype_policy
            )
            norm.build((None, count, dim))
            setattr(self, name, norm)
        self.input_spec = keras.layers.InputSpec(ndim=3, axes={1: tokens, 2: dim})

    def call(self, inputs):
        """Applies attention and the feed-forward networks."""
        if self.norm_first:
            tokens = self._last(inputs) + self._attend(self.norm_attention(inputs))
            return tokens + self.contract(self.expand(self.norm_feedforward(tokens)))
        tokens = self.norm_attention(self._last(inputs) + self._attend(inputs))
        return self.norm_feedforward(tokens + self.contract(self.expand(tokens)))

    def compute_output_shape(self, input_shape: Shape):
        """Returns `(batch, num_queries, dim)`."""
        _, dim, queries = self._check(input_shape)
        return (input_shape[0], queries, dim)

    def work(self, input_shape: Shape) -> Work:
        """Sums the work of all parts; attention costs `4·queries·tokens·dim` FLOPs."""
        tokens, dim, queries = self._check(input_shape)
        scores = queries * tokens
        # Attention weights, their product with the values, two norms and two sums.
        kept = self.num_heads * scores + (4 * queries + tokens) * dim
        total = Work(4 * dim, 4 * scores * dim, kept)
        for layer, shape in self._parts(tokens, dim, queries):
            total += work_of(layer, shape)
        return total

    def get_config(self):
        """Returns the constructor arguments."""
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "feedforward_dim": self.feedforward_dim,
            "norm_first": self.norm_first,
            "activation": keras.activations.serialize(self.activation),
            "num_queries": self.num_queries,
            "epsilon": self.epsilon,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }

    def _readers(self, tokens: int, dim: int) -> list[keras.layers.Layer]:
        """Returns the layers named key and value, which keep the shape (batch, tokens, dim)."""
        raise NotImplementedError

    def _check(self, input_shape: Shape) -> tuple[int, int, int]:
        """Returns the number of tokens, their dim and the number of queries."""
        tokens, dim = check_tokens(self, input_shape)
        if dim % self.num_heads:
            raise ValueError(
                f"`num_heads` must divide the tokens' dim, {dim}. "
                f"Received: num_heads={self.num_heads}"
            )
        queries = tokens if self.num_queries is None else self.num_queries
        if queries > tokens:
            raise ValueError(
                f"`num_queries` must be at most the number of tokens, {tokens}. "
                f"Received: num_queries={self.num_queries}"
            )
        return tokens, dim, queries

    def _parts(self, tokens: int, dim: int, queries: int) -> list[tuple[Any, Shape]]:
        """Returns the unbuilt layers with weights, each with its input shape."""

        def dense(name, inputs, units, offset, activation=None, use_bias=False):
            layer = StackedDense(
                queries,
                units,
                activation,
                use_bias,
                fresh(self.kernel_initializer, offset * tokens),
                name=name,
                dtype=self.dtype_policy,
            )
            return layer, (None, queries, inputs)

        hidden = self.feedforward_dim
        return [
            dense("query", dim, dim, 0),
            *((layer, (None, tokens, dim)) for layer in self._readers(tokens, dim)),
            dense("attention_output", dim, dim, 1),
            dense("expand", dim, hidden, 2, self.activation, use_bias=True),
            dense("contract", hidden, dim, 3, use_bias=True),
        ]

    def _last(self, tokens):
        """Returns the tokens that the layer outputs."""
        count = tokens.shape[1]
        return tokens if self.num_queries is None else tokens[:, count - self.num_queries :]

    def _heads(self, values):
        """Splits (batch, tokens, dim) into (batch, heads, tokens, dim / heads)."""
        count, dim = values.shape[1:]
        values = ops.reshape(values, (-1, count, self.num_heads, dim // self.num_heads))
        return ops.transpose(values, (0, 2, 1, 3))

    def _attend(self, tokens):
        dim = tokens.shape[2]
        query = self._heads(self.query(self._last(tokens))) * (dim // self.num_heads) ** -0.5
        key, value = self._heads(self.key(tokens)), self._heads(self.value(tokens))
        scores = ops.matmul(query, ops.transpose(key, (0, 1, 3, 2)))  # (B, heads, queries, tokens)
        weights = ops.softmax(ops.cast(scores, kops.wide(self.compute_dtype)), axis=-1)
        context = ops.matmul(ops.cast(weights, self.compute_dtype), value)
        context = ops.transpose(context, (0, 2, 1, 3))
        return self.attention_output(ops.reshape(context, (-1, query.shape[2], dim)))
