"""Compressed interaction network (CIN) of xDeepFM."""

from collections.abc import Sequence

import keras
from keras import ops

from kranking import ops as kops
from kranking._core import Shape, check_positive_ints, fresh, serializable
from kranking.layers._contract._tokens import check_tokens
from kranking.layers._contract._work import Work


@serializable
class CompressedInteractionNetwork(keras.layers.Layer):
    """Compressed interaction network (CIN) of xDeepFM.

    `X⁰` are the tokens. Layer `k` computes `X^k_h = g(Σ_ij A^k_(ij),h (X⁰_i ⊙ X^(k-1)_j) + b^k_h)`
    for each of its `units[k]` feature maps h, and contributes `Σ_d X^k_hd` to the output. All
    channels d share the kernel, and the degree grows by one per layer. In the order of the pairs
    (i, j), the field i of `X⁰` varies slowest.

    The products `X⁰_i ⊙ X^(k-1)_j` of one layer, `F · H` vectors per row, dominate the memory. They
    are computed in float32 under mixed precision, since their degree grows with each layer.

    Args:
        units: Number of feature maps of each layer.
        split_half: Whether the first half of the maps of a layer goes to the next layer and the
            second half to the output, as in the authors' code. All maps of the last layer go to the
            output. Otherwise all maps go to both.
        activation: Activation function `g`; linear in the paper.
        use_bias: Whether to add `b`.
        kernel_initializer: Initializer of every kernel.
        bias_initializer: Initializer of every bias.
        **kwargs: Keyword arguments of `keras.layers.Layer`.

    Input shape: `(batch, fields, dim)`.
    Output shape: `(batch, Σ units)`; with `split_half`, only half of each entry but the last.
    Raises: `ValueError` if `split_half` is set and a layer except the last has an odd number of
        maps.

    >>> layer = kr.layers.CompressedInteractionNetwork([8, 4])
    >>> tuple(layer(np.ones((2, 5, 16), "float32")).shape)
    (2, 12)

    Reference: [Lian et al., 2018, equations 6 to 8](https://arxiv.org/abs/1803.05170)
    """

    takes = "tokens"
    gives = "flat"

    def __init__(
        self,
        units: Sequence[int] = (32, 32, 32),
        split_half: bool = False,
        activation=None,
        use_bias: bool = True,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        **kwargs,
    ):
        units = check_positive_ints("units", units)
        if split_half and any(size % 2 for size in units[:-1]):
            raise ValueError(
                "`units` except the last must be even to be split in halves. "
                f"Received: units={units}, split_half=True"
            )
        super().__init__(**kwargs)
        self.units = units
        self.split_half = bool(split_half)
        self.activation = keras.activations.get(activation)
        self.use_bias = bool(use_bias)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)

    def build(self, input_shape: Shape):
        """Creates a kernel and a bias per layer."""
        fields, dim = check_tokens(self, input_shape)
        self.kernels, self.biases = [], []
        for index, (pairs, size) in enumerate(self._sizes(fields)):
            initializer = fresh(self.kernel_initializer, index)
            self.kernels.append(
                self.add_weight(
                    shape=(pairs, size), initializer=initializer, name=f"kernel_{index}"
                )
            )
            if self.use_bias:
                initializer = fresh(self.bias_initializer, index)
                self.biases.append(
                    self.add_weight(shape=(size,), initializer=initializer, name=f"bias_{index}")
                )
        self.input_spec = keras.layers.InputSpec(ndim=3, axes={1: fields, 2: dim})

    def call(self, inputs):
        """Applies all layers, with the channel axis before the feature maps."""
        wide = kops.wide(self.compute_dtype)
        first = ops.transpose(ops.cast(inputs, wide), (0, 2, 1))  # (B, D, F)
        maps, outputs = first, []
        for index, size in enumerate(self.units):
            maps = self._layer(first, maps, index)
            last = index == len(self.units) - 1
            kept = 0 if last or not self.split_half else size // 2
            outputs.append(ops.sum(maps[:, :, kept:], axis=1))
            maps = maps[:, :, :kept] if kept else maps
        pooled = outputs[0] if len(outputs) == 1 else ops.concatenate(outputs, axis=-1)
        return ops.cast(pooled, self.compute_dtype)

    def compute_output_shape(self, input_shape: Shape):
        """Returns `(batch, width)`."""
        check_tokens(self, input_shape)
        inner = sum(self.units[:-1])
        return (input_shape[0], self.units[-1] + (inner // 2 if self.split_half else inner))

    def work(self, input_shape: Shape) -> Work:
        """Counts `Σ (F·H'·H + H)` parameters and `Σ 2·F·H'·H·D` FLOPs, for H' input and H output maps."""
        fields, dim = check_tokens(self, input_shape)
        total = Work(saved_elements=self.compute_output_shape(input_shape)[1] + fields * dim)
        smooth = self.activation not in (keras.activations.linear, keras.activations.relu)
        for pairs, size in self._sizes(fields):
            kept = (pairs + size * (1 + smooth)) * dim
            total += Work(pairs * size + size * self.use_bias, 2 * pairs * size * dim, kept)
        return total

    def get_config(self):
        """Returns the constructor arguments."""
        return {
            **super().get_config(),
            "units": self.units,
            "split_half": self.split_half,
            "activation": keras.activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
        }

    def _sizes(self, fields):
        """Returns (number of products, number of maps) of each layer."""
        read = fields
        for size in self.units:
            yield fields * read, size
            read = size // 2 if self.split_half else size

    def _layer(self, first, maps, index):
        """Returns the maps of one layer, (batch, dim, maps), from the float32 fields and previous maps."""
        dim, fields = first.shape[1:]
        products = ops.expand_dims(first, 3) * ops.expand_dims(maps, 2)  # (B, D, F, H')
        products = ops.reshape(products, (-1, dim, fields * maps.shape[2]))
        # The product with the kernel too: its inputs may exceed half precision even if its result does not.
        projected = ops.matmul(products, ops.cast(self.kernels[index], first.dtype))
        if self.use_bias:
            projected = projected + ops.cast(self.biases[index], first.dtype)
        return self.activation(projected)
