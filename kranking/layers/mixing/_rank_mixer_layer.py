"""RankMixer layer: parameter-free token mixing and per-token feed-forward networks."""

import keras
from keras import ops

from kranking._core import (
    Shape,
    check_known_width,
    check_number,
    check_positive_int,
    fresh,
    serializable,
)
from kranking.layers._contract._work import Work, work_of_chain
from kranking.layers.core._stacked_mlp import StackedDense


@serializable
class RankMixerLayer(keras.layers.Layer):
    """RankMixer layer: parameter-free token mixing, then per-token feed-forward networks.

    `S = LN(Mix(X) + X)` and `Y = LN(F(S) + S)`. Each of the T tokens is split into T parts, and
    token `h` of `Mix(X)` concatenates the `h`-th parts of all tokens. `F` has separate weights for
    every token `t`: `F(S)_t = GELU(s_t W₁ₜ + b₁ₜ) W₂ₜ + b₂ₜ`, with the exact GELU.

    The number of parts equals the number of tokens, as in the paper, so that the shapes match. The
    expansion factor is not published; the default of 4 is unverified. The sparse mixture of experts
    of the larger models in the paper is not implemented, since the joint training of its two
    routers is not public.

    Args:
        expansion: Hidden width of `F` divided by the dim of the tokens.
        epsilon: Epsilon of both norms.
        kernel_initializer: Initializer of every kernel, drawn separately for each token.
        **kwargs: Keyword arguments of `keras.layers.Layer`.

    Input shape: `(batch, tokens, dim)`, where `tokens` divides `dim`.
    Output shape: the input shape.
    Raises: `ValueError` at build time if the number of tokens does not divide their dim.

    >>> layer = kr.layers.RankMixerLayer(expansion=2)
    >>> tuple(layer(np.ones((2, 4, 8), "float32")).shape)
    (2, 4, 8)

    Reference: [Zhu et al., 2025](https://arxiv.org/abs/2507.15551)
    """

    takes = "tokens"
    gives = "tokens"

    def __init__(
        self,
        expansion: int = 4,
        epsilon: float = 1e-5,
        kernel_initializer="glorot_uniform",
        **kwargs,
    ):
        check_positive_int("expansion", expansion)
        check_number("epsilon", epsilon, low=0.0)
        super().__init__(**kwargs)
        self.expansion = expansion
        self.epsilon = epsilon
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape: Shape):
        """Builds the per-token networks and the two norms, which all tokens share."""
        tokens, dim = self._check(input_shape)
        self.expand, self.contract = self._networks(tokens, dim)
        self.expand.build((None, tokens, dim))
        self.contract.build((None, tokens, dim * self.expansion))
        for name in ("norm_mixing", "norm_feedforward"):
            norm = keras.layers.LayerNormalization(
                epsilon=self.epsilon, name=name, dtype=self.dtype_policy
            )
            norm.build((None, tokens, dim))
            setattr(self, name, norm)
        self.input_spec = keras.layers.InputSpec(ndim=3, axes={1: tokens, 2: dim})

    def call(self, inputs):
        """Applies token mixing, then the per-token networks."""
        mixed = self.norm_mixing(self.mix(inputs) + inputs)
        return self.norm_feedforward(self.contract(self.expand(mixed)) + mixed)

    def mix(self, tokens):
        """Returns the tokens with their parts exchanged; applied twice, this is the identity.

        Args:
            tokens: `(batch, tokens, dim)`.
        """
        count, dim = tokens.shape[1:]
        parts = ops.reshape(tokens, (-1, count, count, dim // count))
        return ops.reshape(ops.transpose(parts, (0, 2, 1, 3)), (-1, count, dim))

    def compute_output_shape(self, input_shape: Shape):
        """Returns the input shape."""
        return input_shape

    def work(self, input_shape: Shape) -> Work:
        """Counts `T(2kD² + kD + D) + 4D` parameters and `4kTD²` FLOPs."""
        tokens, dim = self._check(input_shape)
        chain = work_of_chain(self._networks(tokens, dim), input_shape)
        # The mixed tokens, two sums and two norms.
        return chain + Work(4 * dim, 0, 5 * tokens * dim)

    def get_config(self):
        """Returns the constructor arguments."""
        return {
            **super().get_config(),
            "expansion": self.expansion,
            "epsilon": self.epsilon,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }

    def _check(self, input_shape):
        """Returns the number of tokens and their dim."""
        dim = check_known_width(self, input_shape)
        if len(input_shape) != 3 or input_shape[1] is None or dim % input_shape[1]:
            raise ValueError(
                f"`{self.name}` takes (batch, tokens, dim) with a known number of tokens, which must "
                f"divide dim. Received: input_shape={tuple(input_shape)}"
            )
        return input_shape[1], dim

    def _networks(self, tokens, dim):
        """Returns the two unbuilt per-token projections."""
        return [
            StackedDense(
                tokens,
                units,
                activation,
                kernel_initializer=fresh(self.kernel_initializer, index * tokens),
                name=name,
                dtype=self.dtype_policy,
            )
            for index, (name, units, activation) in enumerate(
                [("expand", dim * self.expansion, "gelu"), ("contract", dim, None)]
            )
        ]
