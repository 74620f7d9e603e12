"""MLP-Mixer layer."""

import keras
from keras import ops

from kranking._core import Shape, check_number, check_positive_int, fresh, serializable
from kranking.layers._contract._tokens import check_tokens
from kranking.layers._contract._work import Work, work_of


@serializable
class MixerLayer(keras.layers.Layer):
    """MLP-Mixer layer: an MLP along the tokens, then an MLP along the channels, with residuals.

    `U = X + (W₂ g(W₁ LN₁(X)))`, where both products act along the token axis, shared by all
    channels, and `Y = U + g(LN₂(U) W₃) W₄`, shared by all tokens; each product has a bias. Unlike
    attention, the token MLP depends on the order of the tokens.

    Args:
        tokens_mlp_dim: Hidden width of the MLP along the tokens.
        channels_mlp_dim: Hidden width of the MLP along the channels.
        activation: Activation function `g`; the exact GELU in the paper.
        epsilon: Epsilon of both norms.
        kernel_initializer: Initializer of every kernel.
        **kwargs: Keyword arguments of `keras.layers.Layer`.

    Input shape: `(batch, tokens, dim)`.
    Output shape: the input shape.

    >>> layer = kr.layers.MixerLayer(tokens_mlp_dim=4, channels_mlp_dim=16)
    >>> tuple(layer(np.ones((2, 5, 8), "float32")).shape)
    (2, 5, 8)

    Reference: [Tolstikhin et al., 2021, equation 1](https://arxiv.org/abs/2105.01601)
    """

    takes = "tokens"
    gives = "tokens"

    def __init__(
        self,
        tokens_mlp_dim: int = 32,
        channels_mlp_dim: int = 128,
        activation="gelu",
        epsilon: float = 1e-5,
        kernel_initializer="glorot_uniform",
        **kwargs,
    ):
        check_positive_int("tokens_mlp_dim", tokens_mlp_dim)
        check_positive_int("channels_mlp_dim", channels_mlp_dim)
        check_number("epsilon", epsilon, low=0.0)
        super().__init__(**kwargs)
        self.tokens_mlp_dim = tokens_mlp_dim
        self.channels_mlp_dim = channels_mlp_dim
        self.activation = keras.activations.get(activation)
        self.epsilon = epsilon
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape: Shape):
        """Builds both MLPs and both norms."""
        tokens, dim = check_tokens(self, input_shape)
        for layer, shape in self._parts(tokens, dim):
            layer.build(shape)
            setattr(self, layer.name, layer)
        self.input_spec = keras.layers.InputSpec(ndim=3, axes={1: tokens, 2: dim})

    def call(self, inputs):
        """Mixes the tokens, then the channels."""
        columns = ops.transpose(self.norm_tokens(inputs), (0, 2, 1))  # (B, D, tokens)
        columns = self.contract_tokens(self.expand_tokens(columns))
        tokens = inputs + ops.transpose(columns, (0, 2, 1))
        return tokens + self.contract_channels(self.expand_channels(self.norm_channels(tokens)))

    def compute_output_shape(self, input_shape: Shape):
        """Returns the input shape."""
        return input_shape

    def work(self, input_shape: Shape) -> Work:
        """Counts both MLPs, `4D` parameters of the norms, and `4·n·D·(h_t + h_c)` FLOPs."""
        tokens, dim = check_tokens(self, input_shape)
        total = Work(saved_elements=2 * tokens * dim)  # two sums
        return sum((work_of(layer, shape) for layer, shape in self._parts(tokens, dim)), total)

    def get_config(self):
        """Returns the constructor arguments."""
        return {
            **super().get_config(),
            "tokens_mlp_dim": self.tokens_mlp_dim,
            "channels_mlp_dim": self.channels_mlp_dim,
            "activation": keras.activations.serialize(self.activation),
            "epsilon": self.epsilon,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }

    def _parts(self, tokens, dim):
        """Returns the unbuilt layers, each with its input shape."""
        parts, index = [], 0
        for axis, length, hidden in (
            ("tokens", tokens, self.tokens_mlp_dim),
            ("channels", dim, self.channels_mlp_dim),
        ):
            norm = keras.layers.LayerNormalization(
                epsilon=self.epsilon, name=f"norm_{axis}", dtype=self.dtype_policy
            )
            parts.append((norm, (None, tokens, dim)))
            count = dim if axis == "tokens" else tokens
            for name, width, units in (("expand", length, hidden), ("contract", hidden, length)):
                dense = keras.layers.Dense(
                    units,
                    activation=self.activation if name == "expand" else None,
                    kernel_initializer=fresh(self.kernel_initializer, index),
                    name=f"{name}_{axis}",
                    dtype=self.dtype_policy,
                )
                parts.append((dense, (None, count, width)))
                index += 1
        return parts
