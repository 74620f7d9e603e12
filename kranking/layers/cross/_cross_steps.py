"""What cross networks share: steps with a bias each, and an output of the input's shape."""

import keras

from kranking._core import Shape, check_positive_int, fresh


class CrossSteps(keras.layers.Layer):
    """Abstract: crosses the input `depth` times; every step has kernels and a bias of its own."""

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

    def compute_output_shape(self, input_shape: Shape):
        """Returns the input shape."""
        return input_shape

    def get_config(self):
        """Returns the constructor arguments."""
        return {
            **super().get_config(),
            "depth": self.depth,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
        }

    def _add_kernel(self, shape: tuple[int, ...], name: str, index: int):
        """Creates one of the layer's kernels; each has an `index` of its own."""
        initializer = fresh(self.kernel_initializer, index)
        return self.add_weight(shape=shape, initializer=initializer, name=name)

    def _add_bias(self, width: int, step: int):
        """Creates the bias of a step."""
        initializer = fresh(self.bias_initializer, step)
        return self.add_weight(shape=(width,), initializer=initializer, name=f"bias_{step}")
