"""Cross network of the original DCN, with one weight vector per step."""

import keras
from keras import ops

from kranking import ops as kops
from kranking._core import Shape, check_known_width, serializable
from kranking.layers._contract._work import Work, dense_work, rows
from kranking.layers.cross._cross_steps import CrossSteps


@serializable
class VectorCrossNetwork(CrossSteps):
    """Cross network of the original DCN, with one weight vector per step.

    Step `l` computes `x[l+1] = x[0] (x[l] · w[l]) + b[l] + x[l]`: each step scales `x[0]` by one
    scalar. The bias is outside the product, unlike in `CrossNetwork`. Without biases it is a
    `CrossNetwork` whose kernels have equal columns. Products and sums are computed in float32 under
    mixed precision.

    Args:
        depth: Number of cross steps.
        kernel_initializer: Initializer of every weight vector.
        bias_initializer: Initializer of every bias.
        **kwargs: Keyword arguments of `keras.layers.Layer`.

    Input shape: `(batch, ..., width)`, where `width` is known at build time.
    Output shape: the input shape.

    >>> tuple(kr.layers.VectorCrossNetwork(depth=2)(np.ones((8, 16), "float32")).shape)
    (8, 16)

    Reference: [Wang et al., 2017, equation 3](https://arxiv.org/abs/1708.05123)
    """

    def build(self, input_shape: Shape):
        """Creates a weight vector and a bias per step."""
        width = check_known_width(self, input_shape)
        self.kernels, self.biases = [], []
        for step in range(self.depth):
            self.kernels.append(self._add_kernel((width, 1), f"kernel_{step}", step))
            self.biases.append(self._add_bias(width, step))
        self.input_spec = keras.layers.InputSpec(min_ndim=2, axes={-1: width})

    def call(self, inputs):
        """Applies `depth` cross steps."""
        wide = kops.wide(self.compute_dtype)
        first = outputs = ops.cast(inputs, wide)
        for kernel, bias in zip(self.kernels, self.biases, strict=True):
            scale = ops.matmul(ops.cast(outputs, self.compute_dtype), kernel)  # (batch, ..., 1)
            outputs = first * ops.cast(scale, wide) + ops.cast(bias, wide) + outputs
        return ops.cast(outputs, self.compute_dtype)

    def work(self, input_shape: Shape) -> Work:
        """Counts `depth · 2W` parameters and `depth · 2W` FLOPs per vector."""
        width, count = check_known_width(self, input_shape), rows(input_shape)
        total = Work()
        for _ in range(self.depth):
            total += dense_work(width, 1, count, bias=False) + Work(width, 0, width * count)
        return total
