"""Learned tokens."""

import keras
from keras import ops

from kranking._core import Shape, check_positive_int, fresh, serializable
from kranking.layers._contract._tokens import check_tokens
from kranking.layers._contract._work import Work


@serializable
class LearnedTokens(keras.layers.Layer):
    """Appends learned tokens to the input tokens.

    `Y = [X; c₁; …; c_n]`, with the same `c` in every row. Later layers that mix tokens, such as
    attention, collect information about the row in the learned tokens: one token per task, as in
    Hiformer, or a single one, like a CLS token.

    Args:
        num_tokens: Number of learned tokens.
        embeddings_initializer: Initializer of the tokens.
        **kwargs: Keyword arguments of `keras.layers.Layer`.

    Input shape: `(batch, tokens, dim)`.
    Output shape: `(batch, tokens + num_tokens, dim)`.

    >>> layer = kr.layers.LearnedTokens(2)
    >>> tuple(layer(np.ones((3, 5, 8), "float32")).shape)
    (3, 7, 8)

    Reference: [Gui et al., 2023](https://arxiv.org/abs/2311.05884)
    """

    takes = "tokens"
    gives = "tokens"

    def __init__(self, num_tokens: int = 1, embeddings_initializer="uniform", **kwargs):
        check_positive_int("num_tokens", num_tokens)
        super().__init__(**kwargs)
        self.num_tokens = num_tokens
        self.embeddings_initializer = keras.initializers.get(embeddings_initializer)

    def build(self, input_shape: Shape):
        """Creates the tokens."""
        _, dim = check_tokens(self, input_shape)
        self.embeddings = self.add_weight(
            shape=(self.num_tokens, dim),
            initializer=fresh(self.embeddings_initializer),
            name="embeddings",
        )
        self.input_spec = keras.layers.InputSpec(ndim=3, axes={2: dim})

    def call(self, inputs):
        """Appends the tokens to every row."""
        # Adding zeros broadcasts the tokens along the batch, whose size may be unknown.
        learned = ops.zeros_like(inputs[:, :1, :1]) + ops.expand_dims(self.embeddings, 0)
        return ops.concatenate([inputs, learned], axis=1)

    def compute_output_shape(self, input_shape: Shape):
        """Returns `(batch, tokens + num_tokens, dim)`."""
        tokens, dim = check_tokens(self, input_shape)
        return (input_shape[0], tokens + self.num_tokens, dim)

    def work(self, input_shape: Shape) -> Work:
        """Counts `num_tokens · dim` parameters."""
        tokens, dim = check_tokens(self, input_shape)
        return Work(self.num_tokens * dim, 0, (tokens + self.num_tokens) * dim)

    def get_config(self):
        """Returns the constructor arguments."""
        return {
            **super().get_config(),
            "num_tokens": self.num_tokens,
            "embeddings_initializer": keras.initializers.serialize(self.embeddings_initializer),
        }
