"""Linear combinations of tokens."""

import keras
from keras import ops

from kranking._core import check_positive_int, fresh, serializable
from kranking.layers._contract._tokens import check_tokens
from kranking.layers._contract._work import Work


@serializable
class TokenLinear(keras.layers.Layer):
    """Linear map along the token axis.

    `Y = Wᵀ X`, or `y_o = Σ_t W_to x_t`, the same for every channel and without bias. It changes the
    number of tokens, for example to match the terms of a residual sum.

    Args:
        num_tokens: Number of output tokens, l. `None` keeps the number of input tokens; a DHEN
            layer fills in its share.
        kernel_initializer: Initializer of `W`.
        **kwargs: Keyword arguments of `keras.layers.Layer`.

    Input shape: `(batch, tokens, dim)`.
    Output shape: `(batch, num_tokens, dim)`.

    >>> layer = kr.layers.TokenLinear(1, kernel_initializer="ones")
    >>> keras.ops.convert_to_numpy(layer(np.array([[[1.0, 2.0], [10.0, 20.0]]]))).tolist()
    [[[11.0, 22.0]]]

    Reference: [Zhang et al., 2024, section 3.5](https://arxiv.org/abs/2403.02545)
    """

    takes = "tokens"
    gives = "tokens"

    def __init__(
        self, num_tokens: int | None = None, kernel_initializer="glorot_uniform", **kwargs
    ):
        check_positive_int("num_tokens", num_tokens, optional=True)
        super().__init__(**kwargs)
        self.num_tokens = num_tokens
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape):
        """Creates the kernel, `(tokens, num_tokens)`."""
        tokens, _ = check_tokens(self, input_shape)
        self.kernel = self.add_weight(
            shape=(tokens, self.num_tokens or tokens),
            initializer=fresh(self.kernel_initializer),
            name="kernel",
        )
        self.input_spec = keras.layers.InputSpec(ndim=3, axes={1: tokens})

    def call(self, inputs):
        """Combines the tokens."""
        return ops.einsum("btd,to->bod", inputs, self.kernel)

    def compute_output_shape(self, input_shape):
        """Returns `(batch, num_tokens, dim)`."""
        tokens, dim = check_tokens(self, input_shape)
        return (input_shape[0], self.num_tokens or tokens, dim)

    def work(self, input_shape) -> Work:
        """Counts `m·l` parameters and `2·m·l·D` FLOPs."""
        tokens, dim = check_tokens(self, input_shape)
        outputs = self.num_tokens or tokens
        return Work(tokens * outputs, 2 * tokens * outputs * dim, outputs * dim)

    def get_config(self):
        """Returns the constructor arguments."""
        return {
            **super().get_config(),
            "num_tokens": self.num_tokens,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }
