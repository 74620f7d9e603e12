"""Gated cross network (GDCN)."""

import keras
from keras import ops

from kranking import ops as kops
from kranking._core import Shape, check_known_width, serializable
from kranking.layers._contract._work import Work, dense_work, rows
from kranking.layers.cross._cross_steps import CrossSteps


@serializable
class GatedCrossNetwork(CrossSteps):
    """Gated cross network of GDCN: a learned gate filters the interactions of each step.

    Step `l` computes `c[l+1] = c[0] ⊙ (c[l] Wc[l] + b[l]) ⊙ σ(c[l] Wg[l]) + c[l]`. The gate has no
    bias. It bounds the update of each step, which keeps deeper stacks stable, at twice the
    parameters of a `CrossNetwork`. Products and sums are computed in float32 under mixed precision.

    Args:
        depth: Number of cross steps.
        kernel_initializer: Initializer of the cross and gate kernels.
        bias_initializer: Initializer of every bias. The authors' code uses `RandomUniform(0, 1)`.
        **kwargs: Keyword arguments of `keras.layers.Layer`.

    Input shape: `(batch, ..., width)`, where `width` is known at build time.
    Output shape: the input shape.

    >>> tuple(kr.layers.GatedCrossNetwork(depth=2)(np.ones((8, 16), "float32")).shape)
    (8, 16)

    Reference: [Wang et al., 2023](https://arxiv.org/abs/2311.04635)
    """

    def build(self, input_shape: Shape):
        """Creates a kernel, a bias and a gate kernel per step."""
        width = check_known_width(self, input_shape)
        self.kernels, self.biases, self.gates = [], [], []
        for step in range(self.depth):
            self.kernels.append(self._add_kernel((width, width), f"kernel_{step}", 2 * step))
            self.biases.append(self._add_bias(width, step))
            self.gates.append(self._add_kernel((width, width), f"gate_{step}", 2 * step + 1))
        self.input_spec = keras.layers.InputSpec(min_ndim=2, axes={-1: width})

    def call(self, inputs):
        """Applies `depth` gated cross steps."""
        wide = kops.wide(self.compute_dtype)
        first = outputs = ops.cast(inputs, wide)
        for kernel, bias, gate in zip(self.kernels, self.biases, self.gates, strict=True):
            current = ops.cast(outputs, self.compute_dtype)
            product = first * (ops.cast(ops.matmul(current, kernel), wide) + ops.cast(bias, wide))
            passed = ops.sigmoid(ops.cast(ops.matmul(current, gate), wide))
            outputs = product * passed + outputs
        return ops.cast(outputs, self.compute_dtype)

    def work(self, input_shape: Shape) -> Work:
        """Counts `depth · (2W² + W)` parameters and `depth · 4W²` FLOPs per vector."""
        width, count = check_known_width(self, input_shape), rows(input_shape)
        step = dense_work(width, width, count) + dense_work(width, width, count, bias=False)
        # The product and the output of the step.
        step += Work(saved_elements=2 * width * count)
        total = Work()
        for _ in range(self.depth):
            total += step
        return total
