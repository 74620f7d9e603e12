"""First-order term of a logit."""

import keras
from keras import ops

from kranking import ops as kops
from kranking._core import Shape, check_known_width, serializable
from kranking.layers._contract._work import Work


@serializable
class LinearTerm(keras.layers.Layer):
    """First-order term of a logit, as in logistic regression: the sum of the terms of all fields.

    `y_t = Σ_f x_ft + b_t`, where `x_ft = w_ft[value]` for a categorical field, one weight per
    value, and `x_ft = w_ft · value` for a number. In a `RankingModel`, the builder creates these
    weights in separate tables whose width is the number of tasks. The sum is computed in float32.

    Args:
        use_bias: Whether to add `b`. Without it, the layer has no weights.
        bias_initializer: Initializer of the bias.
        **kwargs: Keyword arguments of `keras.layers.Layer`.

    Input shape: `(batch, fields, tasks)`, the first-order terms.
    Output shape: `(batch, tasks)`.
    Raises: `ValueError` at build time unless the input has three axes.

    >>> terms = np.array([[[1.0], [2.0], [4.0]]], "float32")  # one row, three fields, one task
    >>> keras.ops.convert_to_numpy(kr.layers.LinearTerm()(terms)).tolist()
    [[7.0]]

    Reference: [Richardson et al., 2007](https://doi.org/10.1145/1242572.1242643)
    """

    takes = "linear"
    gives = "flat"

    def __init__(self, use_bias: bool = True, bias_initializer="zeros", **kwargs):
        super().__init__(**kwargs)
        self.use_bias = bool(use_bias)
        self.bias_initializer = keras.initializers.get(bias_initializer)

    def build(self, input_shape: Shape):
        """Creates the bias."""
        tasks = self._check(input_shape)
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                shape=(tasks,), initializer=self.bias_initializer, name="bias"
            )
        self.input_spec = keras.layers.InputSpec(ndim=3, axes={-1: tasks})

    def call(self, inputs):
        """Sums the terms over the fields."""
        wide = kops.wide(self.compute_dtype)
        outputs = ops.sum(ops.cast(inputs, wide), axis=1)
        if self.bias is not None:
            outputs = outputs + ops.cast(self.bias, wide)
        return ops.cast(outputs, self.compute_dtype)

    def compute_output_shape(self, input_shape: Shape):
        """Returns `(batch, tasks)`."""
        return (input_shape[0], self._check(input_shape))

    def work(self, input_shape: Shape) -> Work:
        """Counts the bias parameters; a sum has no matrix product."""
        tasks = self._check(input_shape)
        return Work(tasks * self.use_bias, 0, tasks)

    def get_config(self):
        """Returns the constructor arguments."""
        return {
            **super().get_config(),
            "use_bias": self.use_bias,
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
        }

    def _check(self, input_shape):
        """Returns the number of tasks."""
        if len(input_shape) != 3:
            raise ValueError(
                f"`{self.name}` takes first-order terms (batch, fields, tasks). "
                f"Received: input_shape={tuple(input_shape)}"
            )
        return check_known_width(self, input_shape)
