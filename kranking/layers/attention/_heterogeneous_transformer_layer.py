"""Transformer layer with separate weights for every token."""

from kranking._core import fresh, serializable
from kranking.layers.attention._per_token_transformer import PerTokenTransformer
from kranking.layers.core._stacked_mlp import StackedDense


@serializable
class HeterogeneousTransformerLayer(PerTokenTransformer):
    """Transformer layer with separate projections and feed-forward networks for every token.

    The score of tokens i and j in head h is `(e_i Q_i^h) · (e_j K_j^h) / √(dim / num_heads)`: user
    features and item features need not share an embedding space. With `norm_first`,
    `e_i = LN₁(x_i)`, `u_i = x_i + (Σ_j softmax_j(score_ij) e_j V_j) O_i` over all heads, and
    `y_i = u_i + F_i(LN₂(u_i))`; otherwise each norm follows its residual sum.
    `F_i(u) = g(u W₁ᵢ + c₁ᵢ) W₂ᵢ + c₂ᵢ`. Attention has no biases, and all tokens share both norms.
    If all tokens have equal weights, this is a standard Transformer layer.

    Implemented from secondary descriptions of the paper: the placement of the norms and `g` are
    unverified.

    Args:
        num_heads: Number of attention heads; divides the tokens' dim.
        feedforward_dim: Hidden width of each `F_i`.
        norm_first: Whether to normalize before attention and before `F` rather than after.
        activation: Activation function `g`.
        num_queries: Number of tokens to return, the last ones; all tokens are read. `None` returns all.
        epsilon: Epsilon of both norms.
        kernel_initializer: Initializer of every kernel, drawn separately for each token.
        **kwargs: Keyword arguments of `keras.layers.Layer`.

    Input shape: `(batch, tokens, dim)`.
    Output shape: `(batch, num_queries, dim)`, by default the input shape.

    >>> layer = kr.layers.HeterogeneousTransformerLayer(num_heads=2, feedforward_dim=16)
    >>> tuple(layer(np.ones((2, 5, 8), "float32")).shape)
    (2, 5, 8)

    Reference: [Gui et al., 2023](https://arxiv.org/abs/2311.05884)
    """

    def __init__(
        self,
        num_heads: int = 1,
        feedforward_dim: int = 32,
        norm_first: bool = True,
        activation="gelu",
        num_queries: int | None = None,
        epsilon: float = 1e-5,
        kernel_initializer="glorot_uniform",
        **kwargs,
    ):
        super().__init__(
            num_heads,
            feedforward_dim,
            norm_first,
            activation,
            num_queries,
            epsilon,
            kernel_initializer,
            **kwargs,
        )

    def _readers(self, tokens, dim):
        return [
            StackedDense(
                tokens,
                dim,
                use_bias=False,
                kernel_initializer=fresh(self.kernel_initializer, offset * tokens),
                name=name,
                dtype=self.dtype_policy,
            )
            for name, offset in (("key", 4), ("value", 5))
        ]
