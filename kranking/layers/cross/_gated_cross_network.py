"""Gated cross network of GDCN."""

import keras
from keras import ops

from kranking import ops as kops
from kranking._core import Shape, check_known_width, check_positive_int, fresh, serializable
from kranking.layers._contract._work import Work, dense_work, rows


@serializable
class GatedCrossNetwork(keras.layers.Layer):
    """Multiplies features with each other and lets a gate choose which products pass.

    Step `l` computes `c[l+1] = c[0] ⊙ (c[l] Wc[l] + b[l]) ⊙ σ(c[l] Wg[l]) + c[l]`. The gate has no
    bias. It bounds what each step adds, so more steps are stable than in a `CrossNetwork`, at twice
    the parameters each. Products and sums are computed in float32 under mixed precision.

    Args:
        depth: Number of cross steps.
        kernel_initializer: Initializer of the kernels of crosses and gates.
        bias_initializer: Initializer of every bias. The authors' code uses `RandomUniform(0, 1)`.
        **kwargs: Keyword arguments of `keras.layers.Layer`.

    Input shape: `(batch, ..., width)`, where `width` is known at build time.
    Output shape: the input shape.

    >>> tuple(kr.layers.GatedCrossNetwork(depth=2)(np.ones((8, 16), "float32")).shape)
    (8, 16)

    Reference: [Wang et al., 2023](https://arxiv.org/abs/2311.04635)
    """

    takes = "flat"
    gives = "flat"

    def __init__(
        self,
        depth: int = 2,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        **kwargs,
    ):
        check_positive_int("depth", depth)
        super().__init__(**kwargs)
        self.depth = depth
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)

    def build(self, input_shape: Shape):
        """Creates a kernel, a bias and a gate's kernel per step."""
        width = check_known_width(self, input_shape)
        self.kernels, self.biases, self.gates = [], [], []
        for step in range(self.depth):
            self.kernels.append(self._add_kernel(width, f"kernel_{step}", 2 * step))
            self.biases.append(
                self.add_weight(
                    shape=(width,),
                    initializer=fresh(self.bias_initializer, step),
                    name=f"bias_{step}",
                )
            )
            self.gates.append(self._add_kernel(width, f"gate_{step}", 2 * step + 1))
        self.input_spec = keras.layers.InputSpec(min_ndim=2, axes={-1: width})

    def call(self, inputs):
        """Crosses the inputs with themselves, `depth` times."""
        wide = kops.wide(self.compute_dtype)
        first = outputs = ops.cast(inputs, wide)
        for kernel, bias, gate in zip(self.kernels, self.biases, self.gates, strict=True):
            current = ops.cast(outputs, self.compute_dtype)
            product = first * (ops.cast(ops.matmul(current, kernel), wide) + ops.cast(bias, wide))
            passed = ops.sigmoid(ops.cast(ops.matmul(current, gate), wide))
            outputs = product * passed + outputs
        return ops.cast(outputs, self.compute_dtype)

    def compute_output_shape(self, input_shape: Shape):
        """Returns the input shape."""
        return input_shape

    def work(self, input_shape: Shape) -> Work:
        """Counts `depth · (2W² + W)` parameters and `depth · 4W²` FLOPs per vector."""
        width, count = check_known_width(self, input_shape), rows(input_shape)
        step = dense_work(width, width, count) + dense_work(width, width, count, bias=False)
        # The product and what the step gives.
        step += Work(saved_elements=2 * width * count)
        total = Work()
        for _ in range(self.depth):
            total += step
        return total

    def get_config(self):
        """Returns the constructor arguments."""
        return {
            **super().get_config(),
            "depth": self.depth,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
        }

    def _add_kernel(self, width, name, index):
        initializer = fresh(self.kernel_initializer, index)
        return self.add_weight(shape=(width, width), initializer=initializer, name=name)
