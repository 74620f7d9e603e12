"""Dot products of tokens with weighted sums of the tokens."""

import keras
from keras import ops

from kranking import ops as kops
from kranking._core import Shape, check_positive_int, fresh, serializable
from kranking.layers._contract._tokens import check_tokens
from kranking.layers._contract._work import Work


@serializable
class DotCompression(keras.layers.Layer):
    """Dot products of every token with `rank` learned weighted sums of the tokens.

    `Z = (X Xᵀ) Y = X (Yᵀ X)ᵀ`, flattened row by row, with a learned `Y` of shape `(tokens, rank)`.
    The second form is linear in the number of tokens. `X Xᵀ` has a rank of at most `dim`, so in
    theory a larger `rank` gains nothing. If `Y` is the identity, the result is `X Xᵀ`.

    The output is flat, since the `rank` products per token no longer have the dim of the input.

    Args:
        rank: Number of weighted sums, k.
        kernel_initializer: Initializer of `Y`.
        **kwargs: Keyword arguments of `keras.layers.Layer`.

    Input shape: `(batch, tokens, dim)`.
    Output shape: `(batch, tokens · rank)`.

    >>> layer = kr.layers.DotCompression(rank=1, kernel_initializer="ones")
    >>> keras.ops.convert_to_numpy(layer(np.array([[[1.0, 0.0], [2.0, 3.0]]]))).tolist()
    [[3.0, 15.0]]

    Reference: [Zhang et al., 2024, section 3.6](https://arxiv.org/abs/2403.02545)
    """

    takes = "tokens"
    gives = "flat"

    def __init__(self, rank: int = 8, kernel_initializer="glorot_uniform", **kwargs):
        check_positive_int("rank", rank)
        super().__init__(**kwargs)
        self.rank = rank
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape: Shape):
        """Creates `Y`."""
        tokens, _ = check_tokens(self, input_shape)
        self.kernel = self.add_weight(
            shape=(tokens, self.rank), initializer=fresh(self.kernel_initializer), name="kernel"
        )
        self.input_spec = keras.layers.InputSpec(ndim=3, axes={1: tokens})

    def call(self, inputs):
        """Computes the weighted sums and their dot products with all tokens."""
        return ops.cast(compressed_dots(inputs, self.kernel), self.compute_dtype)

    def compute_output_shape(self, input_shape: Shape):
        """Returns `(batch, tokens · rank)`."""
        return (input_shape[0], check_tokens(self, input_shape)[0] * self.rank)

    def work(self, input_shape: Shape) -> Work:
        """Counts `n·k` parameters and `4·n·D·k` FLOPs."""
        tokens, dim = check_tokens(self, input_shape)
        return Work(tokens * self.rank) + compressed_dots_work(tokens, dim, self.rank)

    def get_config(self):
        """Returns the constructor arguments."""
        return {
            **super().get_config(),
            "rank": self.rank,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }


def compressed_dots(tokens, kernel):
    """Returns `X (Xᵀ Y)`, flattened, for `Y` of shape `(tokens, rank)` or `(batch, tokens, rank)`.

    Computed in at least float32: the result is of degree two in the tokens, and the sums grow with
    their number.
    """
    wide = kops.wide(tokens.dtype)
    tokens, kernel = ops.cast(tokens, wide), ops.cast(kernel, wide)
    sums = ops.matmul(ops.transpose(tokens, (0, 2, 1)), kernel)  # (B, D, k)
    dots = ops.matmul(tokens, sums)  # (B, n, k)
    return ops.reshape(dots, (-1, dots.shape[1] * dots.shape[2]))


def compressed_dots_work(tokens: int, dim: int, rank: int) -> Work:
    """Returns the work of `compressed_dots`, which has two matrix products."""
    return Work(0, 4 * tokens * dim * rank, (dim + tokens) * rank)
