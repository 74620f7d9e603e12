"""Cross network module of DHEN."""

import keras
from keras import ops

from kranking import ops as kops
from kranking._core import Shape, fresh, serializable
from kranking.layers._contract._tokens import check_tokens
from kranking.layers._contract._work import Work, dense_work


@serializable
class DHENCross(keras.layers.Layer):
    """Cross network module of DHEN: multiplies the flattened tokens by a linear map of themselves.

    `y = x ⊙ (x A + b)` with `x = vec(X)`, reshaped to tokens again. This is one step of
    `CrossNetwork` without the skip connection, which `DHENLayer` adds for all modules together.
    Equation 7 of the paper has a matrix product instead, which `GramCross` implements. Products are
    computed in float32 under mixed precision.

    Args:
        kernel_initializer: Initializer of `A`.
        bias_initializer: Initializer of `b`.
        **kwargs: Keyword arguments of `keras.layers.Layer`.

    Input shape: `(batch, tokens, dim)`.
    Output shape: the input shape.

    >>> tuple(kr.layers.DHENCross()(np.ones((2, 3, 4), "float32")).shape)
    (2, 3, 4)

    Reference: [Zhang et al., 2022](https://arxiv.org/abs/2203.11014)
    """

    takes = "tokens"
    gives = "tokens"

    def __init__(self, kernel_initializer="glorot_uniform", bias_initializer="zeros", **kwargs):
        super().__init__(**kwargs)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)

    def build(self, input_shape: Shape):
        """Creates the kernel, `(width, width)` with `width = tokens · dim`, and the bias."""
        tokens, dim = check_tokens(self, input_shape)
        width = tokens * dim
        self.kernel = self.add_weight(
            shape=(width, width), initializer=fresh(self.kernel_initializer), name="kernel"
        )
        self.bias = self.add_weight(
            shape=(width,), initializer=fresh(self.bias_initializer), name="bias"
        )
        self.input_spec = keras.layers.InputSpec(ndim=3, axes={1: tokens, 2: dim})

    def call(self, inputs):
        """Multiplies the tokens by their linear map."""
        wide = kops.wide(self.compute_dtype)
        count, dim = inputs.shape[1:]
        flat = ops.reshape(inputs, (-1, count * dim))
        projected = ops.cast(ops.matmul(flat, self.kernel), wide) + ops.cast(self.bias, wide)
        outputs = ops.cast(ops.cast(flat, wide) * projected, self.compute_dtype)
        return ops.reshape(outputs, (-1, count, dim))

    def compute_output_shape(self, input_shape: Shape):
        """Returns the input shape."""
        return input_shape

    def work(self, input_shape: Shape) -> Work:
        """Counts `W² + W` parameters and `2W²` FLOPs, with `W = tokens · dim`."""
        tokens, dim = check_tokens(self, input_shape)
        width = tokens * dim
        return dense_work(width, width) + Work(saved_elements=width)

    def get_config(self):
        """Returns the constructor arguments."""
        return {
            **super().get_config(),
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
        }
