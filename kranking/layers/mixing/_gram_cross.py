"""Cross network of DHEN's equation 7."""

import keras
from keras import ops

from kranking import ops as kops
from kranking._core import Shape, check_positive_int, fresh, serializable
from kranking.layers._contract._tokens import check_tokens
from kranking.layers._contract._work import Work


@serializable
class GramCross(keras.layers.Layer):
    """Cross network of DHEN's equation 7, taken literally: projects the Gram matrix of the channels.

    `Y = Wᵀ (Xᵀ X) + b`: entry `(i, j)` of `Xᵀ X`, which is `dim × dim`, sums the products of
    channels `i` and `j` over all tokens, so the output does not depend on the order of the tokens.
    Which interpretation Meta used is unverified; `DHENCross` is the usual one.

    Args:
        num_tokens: Number of output tokens, l. `None` keeps the number of input tokens; a
            `DHENLayer` fills in its share.
        kernel_initializer: Initializer of `W`, of shape `(dim, num_tokens)`.
        bias_initializer: Initializer of `b`, of shape `(num_tokens, dim)`.
        **kwargs: Keyword arguments of `keras.layers.Layer`.

    Input shape: `(batch, tokens, dim)`.
    Output shape: `(batch, num_tokens, dim)`.

    >>> layer = kr.layers.GramCross(num_tokens=1, kernel_initializer="ones")
    >>> keras.ops.convert_to_numpy(layer(np.array([[[1.0, 2.0], [3.0, 0.0]]]))).tolist()
    [[[12.0, 6.0]]]

    Reference: [Zhang et al., 2022, equation 7](https://arxiv.org/abs/2203.11014)
    """

    takes = "tokens"
    gives = "tokens"

    def __init__(
        self,
        num_tokens: int | None = None,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        **kwargs,
    ):
        check_positive_int("num_tokens", num_tokens, optional=True)
        super().__init__(**kwargs)
        self.num_tokens = num_tokens
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)

    def build(self, input_shape: Shape):
        """Creates the kernel and the bias."""
        tokens, dim = check_tokens(self, input_shape)
        count = self.num_tokens or tokens
        self.kernel = self.add_weight(
            shape=(dim, count), initializer=fresh(self.kernel_initializer), name="kernel"
        )
        self.bias = self.add_weight(
            shape=(count, dim), initializer=fresh(self.bias_initializer), name="bias"
        )
        self.input_spec = keras.layers.InputSpec(ndim=3, axes={1: tokens, 2: dim})

    def call(self, inputs):
        """Projects the Gram matrix, which is symmetric, so that rows and columns are interchangeable."""
        wide = kops.wide(self.compute_dtype)  # the Gram matrix grows with the square of the input
        values, kernel = ops.cast(inputs, wide), ops.cast(self.kernel, wide)
        gram = ops.matmul(ops.transpose(values, (0, 2, 1)), values)  # (B, dim, dim)
        outputs = ops.transpose(ops.matmul(gram, kernel), (0, 2, 1)) + ops.cast(self.bias, wide)
        return ops.cast(outputs, self.compute_dtype)

    def compute_output_shape(self, input_shape: Shape):
        """Returns `(batch, num_tokens, dim)`."""
        tokens, dim = check_tokens(self, input_shape)
        return (input_shape[0], self.num_tokens or tokens, dim)

    def work(self, input_shape: Shape) -> Work:
        """Counts `2·dim·l` parameters and `2·m·dim² + 2·dim²·l` FLOPs for m tokens."""
        tokens, dim = check_tokens(self, input_shape)
        count = self.num_tokens or tokens
        flops = 2 * tokens * dim**2 + 2 * dim**2 * count
        return Work(2 * dim * count, flops, dim**2 + count * dim)

    def get_config(self):
        """Returns the constructor arguments."""
        return {
            **super().get_config(),
            "num_tokens": self.num_tokens,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
        }
