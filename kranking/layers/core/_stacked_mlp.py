"""Several small networks of equal shape, computed as one: experts, gates, towers, per-token weights."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from kranking._core import Shape, check_known_width, fresh
from kranking.layers._contract._work import Work, dense_work, work_of_chain


class StackedDense(keras.layers.Layer):
    """Internal: `count` dense layers, `y_c = activation(x_c A_c + b_c)`, as one batched matrix product.

    Args:
        count: Number of slots `c`.
        units: Output width of each slot.
        activation: Activation of the output.
        use_bias: Whether to add `b_c`.
        kernel_initializer: Initializer of the kernels, drawn separately for each slot.
        **kwargs: Keyword arguments of `keras.layers.Layer`.

    Input shape: `(batch, width)`, which every slot reads, or `(batch, count, width)`.
    Output shape: `(batch, count, units)`.
    """

    def __init__(
        self,
        count: int,
        units: int,
        activation=None,
        use_bias: bool = True,
        kernel_initializer="glorot_uniform",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.count = count
        self.units = units
        self.activation = keras.activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = kernel_initializer

    def build(self, input_shape: Shape):
        """Creates the kernels and the biases of all slots, each as one tensor."""
        width = check_known_width(self, input_shape)
        draws = [fresh(self.kernel_initializer, slot) for slot in range(self.count)]

        def initialize(shape, dtype=None):
            # One by one: an initializer would count the leading axis as part of the fan-in.
            return ops.stack([draw(shape[1:], dtype=dtype) for draw in draws])

        self.kernel = self.add_weight(
            shape=(self.count, width, self.units), initializer=initialize, name="kernel"
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                shape=(self.count, self.units), initializer="zeros", name="bias"
            )

    def call(self, inputs):
        """Computes the slots with one batched product, which needs the slot axis first."""
        if len(inputs.shape) == 3:
            inputs = ops.transpose(inputs, (1, 0, 2))
        outputs = ops.transpose(ops.matmul(inputs, self.kernel), (1, 0, 2))
        if self.bias is not None:
            outputs = outputs + self.bias
        return self.activation(outputs)

    def compute_output_shape(self, input_shape: Shape):
        """Returns `(batch, count, units)`."""
        return (input_shape[0], self.count, self.units)

    def work(self, input_shape: Shape) -> Work:
        """Counts `count · (in · units + units)` parameters and `count · 2 · in · units` FLOPs."""
        width = check_known_width(self, input_shape)
        one = dense_work(width, self.units, bias=self.use_bias)
        slim = self.activation in (keras.activations.linear, keras.activations.relu)
        total = Work(saved_elements=0 if slim else self.count * self.units)
        return sum((one for _ in range(self.count)), total)


class StackedMLP(keras.layers.Layer):
    """Internal: `count` MLPs of equal shape, with an optional linear output layer.

    Args:
        count: Number of MLPs.
        units: Widths of the layers with an activation; may be empty if `output_units` is set.
        output_units: Width of a last, linear layer. `None` omits it.
        output_bias: Whether to add a bias to the last, linear layer.
        activation: Activation of `units`.
        kernel_initializer: Initializer of every kernel.
        **kwargs: Keyword arguments of `keras.layers.Layer`.

    Input shape: `(batch, width)`, which every MLP reads, or `(batch, count, width)`.
    Output shape: `(batch, count, width of the last layer)`.
    """

    def __init__(
        self,
        count: int,
        units: Sequence[int],
        output_units: int | None = None,
        output_bias: bool = True,
        activation="relu",
        kernel_initializer="glorot_uniform",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.count = count
        rows: list[tuple[int, Any, bool]] = [(width, activation, True) for width in units]
        if output_units is not None:
            rows.append((output_units, None, output_bias))
        self.steps = [
            StackedDense(
                count,
                width,
                given,
                use_bias,
                fresh(kernel_initializer, index * count),
                name=f"dense_{index}",
                dtype=self.dtype_policy,
            )
            for index, (width, given, use_bias) in enumerate(rows)
        ]

    def build(self, input_shape: Shape):
        """Builds all steps."""
        for step in self.steps:
            step.build(input_shape)
            input_shape = step.compute_output_shape(input_shape)

    def call(self, inputs):
        """Runs the steps."""
        for step in self.steps:
            inputs = step(inputs)
        return inputs

    def compute_output_shape(self, input_shape: Shape):
        """Returns `(batch, count, width)`."""
        return self.steps[-1].compute_output_shape(input_shape)

    def work(self, input_shape: Shape) -> Work:
        """Sums the work of the steps."""
        return work_of_chain(self.steps, input_shape)

    @property
    def num_kernels(self) -> int:
        """Number of kernels drawn, used to offset the seeds of later layers."""
        return self.count * len(self.steps)
