"""Convolution over tokens, an interaction module of DHEN."""

from collections.abc import Sequence

import keras
from keras import ops

from kranking import ops as kops
from kranking._core import Shape, check_positive_ints, fresh, serializable
from kranking.layers._contract._tokens import check_tokens
from kranking.layers._contract._work import Work


@serializable
class ConvolutionInteraction(keras.layers.Layer):
    """Convolution over tokens as a single-channel image, `tokens` high and `dim` wide.

    `Y_td = g(Σ_ij K_ij X_(t+i-p),(d+j-q) + b)`, with zero padding that keeps the size; `p` and `q`
    center the kernel. Neighboring tokens and neighboring channels interact, so the order of both
    matters, unlike in other interactions.

    The DHEN paper mentions this module without details: kernel size, channels and activation are
    unverified. With one input and one output channel it is a stencil, computed as a sum of shifted
    copies in float32, so it has no matrix products.

    Args:
        kernel_size: Height of the kernel, in tokens, and width, in channels.
        activation: Activation function `g`.
        kernel_initializer: Initializer of `K`.
        bias_initializer: Initializer of `b`.
        **kwargs: Keyword arguments of `keras.layers.Layer`.

    Input shape: `(batch, tokens, dim)`.
    Output shape: the input shape.

    >>> layer = kr.layers.ConvolutionInteraction((2, 1), kernel_initializer="ones")
    >>> y = layer(np.array([[[1.0], [2.0], [4.0]]], "float32"))  # each token and the next one
    >>> keras.ops.convert_to_numpy(y)[0, :, 0].tolist()
    [3.0, 6.0, 4.0]

    Reference: [Zhang et al., 2022, section 2.2](https://arxiv.org/abs/2203.11014)
    """

    takes = "tokens"
    gives = "tokens"

    def __init__(
        self,
        kernel_size: Sequence[int] = (3, 3),
        activation=None,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        **kwargs,
    ):
        kernel_size = check_positive_ints("kernel_size", kernel_size)
        if len(kernel_size) != 2:
            raise ValueError(
                f"`kernel_size` must be (height, width). Received: kernel_size={kernel_size}"
            )
        super().__init__(**kwargs)
        self.kernel_size = kernel_size
        self.activation = keras.activations.get(activation)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)

    def build(self, input_shape: Shape):
        """Creates the kernel, of the shape of a `keras.layers.Conv2D` kernel, and the bias."""
        tokens, dim = check_tokens(self, input_shape)
        self.kernel = self.add_weight(
            shape=(*self.kernel_size, 1, 1),
            initializer=fresh(self.kernel_initializer),
            name="kernel",
        )
        self.bias = self.add_weight(
            shape=(1,), initializer=fresh(self.bias_initializer), name="bias"
        )
        self.input_spec = keras.layers.InputSpec(ndim=3, axes={1: tokens, 2: dim})

    def call(self, inputs):
        """Computes the convolution as a weighted sum of shifted copies."""
        wide = kops.wide(self.compute_dtype)
        tokens, dim = inputs.shape[1:]
        height, width = self.kernel_size
        # Extra padding goes at the end, as with "same" padding in Keras.
        around = [((size - 1) // 2, size // 2) for size in self.kernel_size]
        padded = ops.pad(ops.cast(inputs, wide), ((0, 0), *around))
        kernel = ops.cast(self.kernel, wide)
        outputs = ops.cast(self.bias, wide)
        for i in range(height):
            for j in range(width):
                outputs = outputs + kernel[i, j, 0] * padded[:, i : i + tokens, j : j + dim]
        return ops.cast(self.activation(outputs), self.compute_dtype)

    def compute_output_shape(self, input_shape: Shape):
        """Returns the input shape."""
        return input_shape

    def work(self, input_shape: Shape) -> Work:
        """Counts `k_h·k_w + 1` parameters and no matrix products."""
        tokens, dim = check_tokens(self, input_shape)
        height, width = self.kernel_size
        padded = (tokens + height - 1) * (dim + width - 1)
        return Work(height * width + 1, 0, padded + tokens * dim)

    def get_config(self):
        """Returns the constructor arguments."""
        return {
            **super().get_config(),
            "kernel_size": self.kernel_size,
            "activation": keras.activations.serialize(self.activation),
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
        }
