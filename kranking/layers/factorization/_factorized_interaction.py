"""A dense layer whose halves are multiplied: FINAL's factorized interaction."""

import keras
from keras import ops

from kranking import ops as kops
from kranking._core import (
    Shape,
    check_choice,
    check_known_width,
    check_positive_int,
    fresh,
    serializable,
)
from kranking.layers._contract._work import Work, dense_work, rows

MERGES = ("concat", "sum")


@serializable
class FactorizedInteraction(keras.layers.Layer):
    """Multiplies two linear maps of its input with each other, and keeps the first of them beside.

    `[u ‖ v] = x A + b`, and `y = u ‖ u ⊙ φ(v)` with `merge="concat"`, `y = u + u ⊙ φ(v)` with `"sum"`,
    where `φ` is the identity or an activation. Each layer doubles the degree of what it is given;
    `"concat"` has the parameters of a dense layer of the same width, `"sum"` twice as many. The paper
    (read in secondary sources) prints the sum; its authors' code has both and takes `"concat"`.

    Args:
        units: Width of the output; even for `"concat"`.
        merge: `"concat"` or `"sum"`.
        activation: Activation `φ` of the second factor.
        kernel_initializer: Initializer of the kernel.
        **kwargs: Keyword arguments of `keras.layers.Layer`.

    Input shape: `(batch, ..., width)`.
    Output shape: `(batch, ..., units)`.

    >>> layer = kr.layers.FactorizedInteraction(2, kernel_initializer="ones")
    >>> keras.ops.convert_to_numpy(layer(np.array([[1.0, 2.0]]))).tolist()  # u = v = 3
    [[3.0, 9.0]]

    Reference: [Zhu et al., 2023](https://doi.org/10.1145/3539618.3591988)
    """

    takes = "flat"
    gives = "flat"

    def __init__(
        self,
        units: int,
        merge: str = "concat",
        activation=None,
        kernel_initializer="glorot_uniform",
        **kwargs,
    ):
        check_positive_int("units", units)
        check_choice("merge", merge, MERGES)
        if merge == "concat" and units % 2:
            raise ValueError(
                f"`units` must be even with merge='concat', which joins two halves. Received: units={units}"
            )
        super().__init__(**kwargs)
        self.units = units
        self.merge = merge
        self.activation = keras.activations.get(activation)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape: Shape):
        """Builds the projection."""
        width = check_known_width(self, input_shape)
        self.projection = keras.layers.Dense(
            self._inner,
            kernel_initializer=fresh(self.kernel_initializer),
            name="projection",
            dtype=self.dtype_policy,
        )
        self.projection.build(input_shape)
        self.input_spec = keras.layers.InputSpec(min_ndim=2, axes={-1: width})

    def call(self, inputs):
        """Projects, multiplies, merges; the products in float32, since they grow with every layer."""
        halves = ops.split(self.projection(inputs), 2, axis=-1)
        first, second = (ops.cast(half, kops.wide(self.compute_dtype)) for half in halves)
        product = first * self.activation(second)
        concat = self.merge == "concat"
        outputs = ops.concatenate([first, product], axis=-1) if concat else first + product
        return ops.cast(outputs, self.compute_dtype)

    def compute_output_shape(self, input_shape: Shape):
        """Returns the input shape with `units` last."""
        return (*input_shape[:-1], self.units)

    def work(self, input_shape: Shape) -> Work:
        """Counts `W·units + units` parameters with `"concat"`, twice that with `"sum"`."""
        width = check_known_width(self, input_shape)
        vectors = rows(input_shape)
        # The halves are the projection's; beside them stand the output and, activated, the second.
        saved = self.units * vectors
        if self.activation is not keras.activations.linear:
            saved += self._inner // 2 * vectors
        return dense_work(width, self._inner, vectors) + Work(saved_elements=saved)

    def get_config(self):
        """Returns the constructor arguments."""
        return {
            **super().get_config(),
            "units": self.units,
            "merge": self.merge,
            "activation": keras.activations.serialize(self.activation),
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }

    @property
    def _inner(self) -> int:
        """Width of `[u ‖ v]`."""
        return self.units if self.merge == "concat" else 2 * self.units
