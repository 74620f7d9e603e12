"""Base class of cross networks."""

import keras

from kranking._core import Shape, check_positive_int, fresh


class CrossSteps(keras.layers.Layer):
    """Base class: `depth` cross steps, each with its own kernels and bias."""

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
        """Creates a kernel; a unique `index` offsets its seed."""
        initializer = fresh(self.kernel_initializer, index)
        return self.add_weight(shape=shape, initializer=initializer, name=name)

    def _add_bias(self, width: int, step: int):
        """Creates the bias of a step."""
        initializer = fresh(self.bias_initializer, step)
        return self.add_weight(shape=(width,), initializer=initializer, name=f"bias_{step}")
