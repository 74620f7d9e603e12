"""Hiformer layer, whose keys and values are computed from all tokens jointly."""

from kranking._core import check_positive_int, fresh, serializable
from kranking.layers.attention._composite_projection import CompositeProjection
from kranking.layers.attention._per_token_transformer import PerTokenTransformer


@serializable
class HiformerLayer(PerTokenTransformer):
    """Transformer layer whose keys and values are computed from all tokens jointly.

    `[k₁ ‖ … ‖ k_n] = [e₁ ‖ … ‖ e_n] K̂` in each head, and likewise the values with `V̂`. Queries
    `e_i Q_i`, output projections `O_i` and feed-forward networks `F_i` are separate for every
    token. The rest is as in `HeterogeneousTransformerLayer`, to which this layer reduces if `K̂`
    and `V̂` are block-diagonal. For n tokens of dim d, `K̂` has `n²d²` weights over all heads. A
    `rank` r replaces it by `L R` in each head, with `r·n(d + d / num_heads)` weights.

    If only some tokens feed the tasks, as in the last layer of Hiformer, `num_queries` avoids
    computing the others, without changing the result.

    Implemented from secondary descriptions of the paper: the placement of the norms and the
    activation are unverified.

    Args:
        num_heads: Number of attention heads; divides the tokens' dim.
        feedforward_dim: Hidden width of each `F_i`.
        rank: Rank of each head's factored `K̂` and `V̂`. `None` uses the full kernels.
        norm_first: Whether to normalize before attention and before `F` rather than after.
        activation: Activation of `F`.
        num_queries: Number of tokens to return, the last ones; all tokens are read. `None` returns all.
        epsilon: Epsilon of both norms.
        kernel_initializer: Initializer of every kernel.
        **kwargs: Keyword arguments of `keras.layers.Layer`.

    Input shape: `(batch, tokens, dim)`.
    Output shape: `(batch, num_queries, dim)`, by default the input shape.

    >>> layer = kr.layers.HiformerLayer(num_heads=2, feedforward_dim=16, rank=4, num_queries=1)
    >>> tuple(layer(np.ones((2, 5, 8), "float32")).shape)
    (2, 1, 8)

    Reference: [Gui et al., 2023](https://arxiv.org/abs/2311.05884)
    """

    def __init__(
        self,
        num_heads: int = 1,
        feedforward_dim: int = 32,
        rank: int | None = None,
        norm_first: bool = True,
        activation="gelu",
        num_queries: int | None = None,
        epsilon: float = 1e-5,
        kernel_initializer="glorot_uniform",
        **kwargs,
    ):
        check_positive_int("rank", rank, optional=True)
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
        self.rank = rank

    def get_config(self):
        """Returns the constructor arguments."""
        return {**super().get_config(), "rank": self.rank}

    def _readers(self, tokens, dim):
        # One seed for the kernel or the first factor, and one per head for the second factor.
        apart = 1 + self.num_heads
        return [
            CompositeProjection(
                self.num_heads,
                self.rank,
                fresh(self.kernel_initializer, 4 * tokens + index * apart),
                name=name,
                dtype=self.dtype_policy,
            )
            for index, name in enumerate(("key", "value"))
        ]
