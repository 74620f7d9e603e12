"""Factorized interaction of FINAL."""

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
    """Factorized interaction of FINAL: the product of two linear maps, combined with the first of them.

    `[u ‖ v] = x A + b`, and `y = u ‖ u ⊙ φ(v)` with `merge="concat"` or `y = u + u ⊙ φ(v)` with
    `"sum"`, where `φ` is the identity or an activation. Each layer doubles the degree of its input.
    `"concat"` has as many parameters as a dense layer of the same width, `"sum"` twice as many. The
    paper (according to secondary sources) uses the sum; the authors' code has both and defaults to
    `"concat"`.

    Args:
        units: Output width; even for `"concat"`.
        merge: `"concat"` or `"sum"`.
        activation: Activation function `φ` of the second factor.
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
        """Projects, multiplies and merges; products are in float32, since their degree grows per layer."""
        halves = ops.split(self.projection(inputs), 2, axis=-1)
        first, second = (ops.cast(half, kops.wide(self.compute_dtype)) for half in halves)
        product = first * self.activation(second)
        concat = self.merge == "concat"
        outputs = ops.concatenate([first, product], axis=-1) if concat else first + product
        return ops.cast(outputs, self.compute_dtype)

    def compute_output_shape(self, input_shape: Shape):
        """Returns the input shape with the last axis replaced by `units`."""
        return (*input_shape[:-1], self.units)

    def work(self, input_shape: Shape) -> Work:
        """Counts `W·units + units` parameters with `"concat"`, twice that with `"sum"`."""
        width = check_known_width(self, input_shape)
        vectors = rows(input_shape)
        # In addition to the projection: the output and, with an activation, the activated second half.
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
        """The width of `[u ‖ v]`."""
        return self.units if self.merge == "concat" else 2 * self.units
