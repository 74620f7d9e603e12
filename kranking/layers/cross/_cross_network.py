"""Cross network of DCN-V2 with full kernels."""

import keras
from keras import ops

from kranking import ops as kops
from kranking._core import Shape, check_known_width, serializable
from kranking.layers._contract._work import Work, dense_work, rows
from kranking.layers.cross._cross_steps import CrossSteps


@serializable
class CrossNetwork(CrossSteps):
    """Cross network of DCN-V2: each step adds explicit interactions of one degree more.

    Step `l` computes `x[l+1] = x[0] ⊙ (x[l] A[l] + b[l]) + x[l]`, so that the output is a
    polynomial of degree `depth + 1` in the input. Products and sums are computed in float32 under
    mixed precision, since they grow with the degree; only the matrix products run in the compute
    dtype.

    Args:
        depth: Number of cross steps.
        kernel_initializer: Initializer of every kernel.
        bias_initializer: Initializer of every bias. The reference code of GDCN and DCNv3 uses
            `RandomUniform(0, 1)`.
        **kwargs: Keyword arguments of `keras.layers.Layer`.

    Input shape: `(batch, ..., width)`, where `width` is known at build time.
    Output shape: the input shape.

    >>> tuple(kr.layers.CrossNetwork(depth=2)(np.ones((8, 16), "float32")).shape)
    (8, 16)

    Reference: [Wang et al., 2021, equation 1](https://arxiv.org/abs/2008.13535)
    """

    def build(self, input_shape: Shape):
        """Creates a kernel and a bias per step."""
        width = check_known_width(self, input_shape)
        self.kernels, self.biases = [], []
        for step in range(self.depth):
            self.kernels.append(self._add_kernel((width, width), f"kernel_{step}", step))
            self.biases.append(self._add_bias(width, step))
        self.input_spec = keras.layers.InputSpec(min_ndim=2, axes={-1: width})

    def call(self, inputs):
        """Applies `depth` cross steps."""
        wide = kops.wide(self.compute_dtype)
        first = outputs = ops.cast(inputs, wide)
        for kernel, bias in zip(self.kernels, self.biases, strict=True):
            projected = ops.matmul(ops.cast(outputs, self.compute_dtype), kernel)
            outputs = first * (ops.cast(projected, wide) + ops.cast(bias, wide)) + outputs
        return ops.cast(outputs, self.compute_dtype)

    def work(self, input_shape: Shape) -> Work:
        """Counts `depth · (W² + W)` parameters and `depth · 2W²` FLOPs per vector."""
        width, count = check_known_width(self, input_shape), rows(input_shape)
        total = Work()
        for _ in range(self.depth):
            total += dense_work(width, width, count) + Work(saved_elements=width * count)
        return total
