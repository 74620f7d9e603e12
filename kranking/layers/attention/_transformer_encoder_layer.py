"""Transformer encoder layer."""

import keras
from keras import ops

from kranking import ops as kops
from kranking._core import (
    check_number,
    check_positive_int,
    fresh,
    serializable,
)
from kranking.layers._contract._shapes import shapes_of
from kranking.layers._contract._tokens import check_tokens
from kranking.layers._contract._work import Work, dense_work
from kranking.ops.internal import mask_bias


@serializable
class TransformerEncoderLayer(keras.layers.Layer):
    """Transformer encoder layer: self-attention followed by a feed-forward network.

    With `norm_first`, `u = x + A(LN₁(x))` and `y = u + F(LN₂(u))`; otherwise `u = LN₁(x + A(x))`
    and `y = LN₂(u + F(u))`. `A` is multi-head attention, `softmax(Q Kᵀ / sqrt(dim / num_heads)) V`
    between linear projections, and `F(u) = activation(u W₁ + c₁) W₂ + c₂`. There is no positional
    encoding, so a permutation of the tokens permutes the output.

    Args:
        num_heads: Number of attention heads; divides the tokens' dim.
        feedforward_dim: Hidden width of `F`.
        dropout: Dropout rate of the attention weights, of the hidden layer of `F`, and of both
            residual branches.
        norm_first: Whether to normalize before attention and before `F` rather than after.
        activation: Activation of `F`.
        epsilon: Epsilon of both norms.
        seed: Seed of the dropout layers.
        kernel_initializer: Initializer of every kernel.
        **kwargs: Keyword arguments of `keras.layers.Layer`.

    Input shape: `(batch, tokens, dim)`, or a list of it and a mask `(batch, tokens)`, true where a
        token may be attended to.
    Output shape: `(batch, tokens, dim)`.

    >>> layer = kr.layers.TransformerEncoderLayer(num_heads=2, feedforward_dim=16)
    >>> tuple(layer(np.ones((2, 5, 8), "float32")).shape)
    (2, 5, 8)

    Reference: [Vaswani et al., 2017](https://arxiv.org/abs/1706.03762)
    """

    takes = "tokens"
    gives = "tokens"

    def __init__(
        self,
        num_heads: int = 1,
        feedforward_dim: int = 32,
        dropout: float = 0.0,
        norm_first: bool = True,
        activation="relu",
        epsilon: float = 1e-5,
        seed: int | None = None,
        kernel_initializer="glorot_uniform",
        **kwargs,
    ):
        check_positive_int("num_heads", num_heads)
        check_positive_int("feedforward_dim", feedforward_dim)
        check_number("dropout", dropout, low=0.0, high=0.999)
        check_number("epsilon", epsilon, low=0.0)
        check_positive_int("seed", seed, optional=True, minimum=0)
        super().__init__(**kwargs)
        self.num_heads = num_heads
        self.feedforward_dim = feedforward_dim
        self.dropout = dropout
        self.norm_first = bool(norm_first)
        self.activation = keras.activations.get(activation)
        self.epsilon = epsilon
        self.seed = seed
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape):
        """Builds six projections, two norms and the dropout layers."""
        tokens, dim = self._check(input_shape)
        names = ("query", "key", "value", "attention_output")
        sizes = [(dim, dim)] * len(names)
        names += ("expand", "contract")
        sizes += [(dim, self.feedforward_dim), (self.feedforward_dim, dim)]
        for index, (name, (inner, units)) in enumerate(zip(names, sizes, strict=True)):
            dense = keras.layers.Dense(
                units,
                activation=self.activation if name == "expand" else None,
                kernel_initializer=fresh(self.kernel_initializer, index),
                name=name,
                dtype=self.dtype_policy,
            )
            dense.build((None, tokens, inner))
            setattr(self, name, dense)
        for name in ("norm_attention", "norm_feedforward"):
            norm = keras.layers.LayerNormalization(
                epsilon=self.epsilon, name=name, dtype=self.dtype_policy
            )
            norm.build((None, tokens, dim))
            setattr(self, name, norm)
        self.dropouts = [self._dropout(index) for index in range(4)] if self.dropout else []

    def call(self, inputs, training=None):
        """Applies attention and the feed-forward network; Keras passes `training` to dropout."""
        tokens, mask = inputs if isinstance(inputs, list | tuple) else (inputs, None)
        if self.norm_first:
            tokens = tokens + self._attend(self.norm_attention(tokens), mask)
            return tokens + self._feed_forward(self.norm_feedforward(tokens))
        tokens = self.norm_attention(tokens + self._attend(tokens, mask))
        return self.norm_feedforward(tokens + self._feed_forward(tokens))

    def compute_output_shape(self, input_shape):
        """Returns the shape of the tokens."""
        return shapes_of(input_shape)[0]

    def work(self, input_shape) -> Work:
        """Counts `4d² + 2df + 9d + f` parameters and `S(8d² + 4df) + 4S²d` FLOPs."""
        count, dim = self._check(input_shape)
        total = Work(4 * dim, 4 * count**2 * dim)
        for inner, units in [(dim, dim)] * 4 + [
            (dim, self.feedforward_dim),
            (self.feedforward_dim, dim),
        ]:
            total += dense_work(inner, units, count)
        # Attention weights, their product with the values, two norms and two sums.
        return total + Work(saved_elements=self.num_heads * count**2 + 5 * count * dim)

    def get_config(self):
        """Returns the constructor arguments."""
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "feedforward_dim": self.feedforward_dim,
            "dropout": self.dropout,
            "norm_first": self.norm_first,
            "activation": keras.activations.serialize(self.activation),
            "epsilon": self.epsilon,
            "seed": self.seed,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }

    def _check(self, input_shape):
        """Returns the number of tokens and their dim."""
        tokens, dim = check_tokens(self, shapes_of(input_shape)[0])
        if dim % self.num_heads:
            raise ValueError(
                f"`num_heads` must divide the tokens' dim, {dim}. "
                f"Received: num_heads={self.num_heads}"
            )
        return tokens, dim

    def _dropout(self, index):
        seed = None if self.seed is None else self.seed + index
        return keras.layers.Dropout(
            self.dropout, seed=seed, name=f"dropout_{index}", dtype=self.dtype_policy
        )

    def _drop(self, values, index):
        return self.dropouts[index](values) if self.dropouts else values

    def _heads(self, values):
        """Splits (batch, tokens, dim) into (batch, heads, tokens, dim / heads)."""
        count, dim = values.shape[1:]
        values = ops.reshape(values, (-1, count, self.num_heads, dim // self.num_heads))
        return ops.transpose(values, (0, 2, 1, 3))

    def _attend(self, tokens, mask):
        count, dim = tokens.shape[1:]
        query, key, value = (
            self._heads(dense(tokens)) for dense in (self.query, self.key, self.value)
        )
        query = query * (dim // self.num_heads) ** -0.5
        scores = ops.matmul(query, ops.transpose(key, (0, 1, 3, 2)))  # (B, heads, S, S)
        scores = ops.cast(scores, kops.wide(scores.dtype))
        if mask is not None:
            scores = scores + mask_bias(mask, scores.dtype)[:, None, None, :]
        weights = ops.cast(ops.softmax(scores, axis=-1), tokens.dtype)
        context = ops.transpose(ops.matmul(self._drop(weights, 0), value), (0, 2, 1, 3))
        context = ops.reshape(context, (-1, count, dim))
        if mask is not None:
            # Without a valid token the weights are uniform, so the context is set to 0.
            some = ops.any(ops.cast(mask, "bool"), axis=1)
            context = context * ops.cast(some, context.dtype)[:, None, None]
        return self._drop(self.attention_output(context), 1)

    def _feed_forward(self, tokens):
        return self._drop(self.contract(self._drop(self.expand(tokens), 2)), 3)
