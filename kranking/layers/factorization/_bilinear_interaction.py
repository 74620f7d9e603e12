"""Bilinear interaction of all pairs of fields: FiBiNET's interaction layer."""

import keras
import numpy as np
from keras import ops

from kranking import ops as kops
from kranking._core import Shape, check_choice, fresh, serializable
from kranking.layers._contract._tokens import check_tokens
from kranking.layers._contract._work import Work, work_of
from kranking.layers.core._stacked_mlp import StackedDense

TYPES = ("field_all", "field_each", "field_interaction")


@serializable
class BilinearInteraction(keras.layers.Layer):
    """Multiplies a linear map of one field with another field, for every pair of fields.

    `p_ij = (E_i W) ⊙ E_j` for all `i < j`, in the order (0, 1), (0, 2), …, (1, 2), …. `W` is one matrix for
    all pairs (`"field_all"`), one for each first field, `W_i` (`"field_each"`), or one for each pair,
    `W_ij` (`"field_interaction"`). The last field is never the first of a pair, so `"field_each"` has
    `F − 1` matrices; the paper counts `F`. With identity matrices the sum of all elements is the
    second-order part of a factorization machine.

    Args:
        bilinear_type: `"field_all"`, `"field_each"` or `"field_interaction"`.
        kernel_initializer: Initializer of the matrices, drawn separately for each.
        **kwargs: Keyword arguments of `keras.layers.Layer`.

    Input shape: `(batch, fields, dim)`, at least two fields.
    Output shape: `(batch, fields · (fields − 1) / 2, dim)`.
    Raises: `ValueError` at build unless the input is two tokens or more.

    >>> layer = kr.layers.BilinearInteraction("field_all", kernel_initializer="identity")
    >>> fields = np.array([[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]], "float32")
    >>> keras.ops.convert_to_numpy(layer(fields)).tolist()
    [[[3.0, 8.0], [5.0, 12.0], [15.0, 24.0]]]

    Reference: [Huang et al., 2019, bilinear interaction layer](https://arxiv.org/abs/1905.09433)
    """

    takes = "tokens"
    gives = "tokens"

    def __init__(
        self,
        bilinear_type: str = "field_interaction",
        kernel_initializer="glorot_uniform",
        **kwargs,
    ):
        check_choice("bilinear_type", bilinear_type, TYPES)
        super().__init__(**kwargs)
        self.bilinear_type = bilinear_type
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape: Shape):
        """Builds the matrices and lists the pairs."""
        fields, dim = self._sizes(input_shape)
        first, second = np.triu_indices(fields, 1)
        self._first, self._second = first.astype("int32"), second.astype("int32")
        self.projection = self._projection(fields, dim)
        self.projection.build(self._projected_shape(fields, dim))
        self.input_spec = keras.layers.InputSpec(ndim=3, axes={1: fields, 2: dim})

    def call(self, inputs):
        """Maps the first fields and multiplies them with the second, in float32."""
        if self.bilinear_type == "field_interaction":
            mapped = self.projection(ops.take(inputs, self._first, axis=1))
        else:  # each first field is mapped once for all its pairs
            mapped = ops.take(self.projection(inputs[:, :-1]), self._first, axis=1)
        wide = kops.wide(self.compute_dtype)
        products = ops.cast(mapped, wide) * ops.cast(ops.take(inputs, self._second, axis=1), wide)
        return ops.cast(products, self.compute_dtype)

    def compute_output_shape(self, input_shape: Shape):
        """Returns `(batch, pairs, dim)`."""
        fields, dim = self._sizes(input_shape)
        return (input_shape[0], fields * (fields - 1) // 2, dim)

    def work(self, input_shape: Shape) -> Work:
        """Counts `K·D²` parameters and `2M·D²` FLOPs for K matrices and M mapped fields.

        K is 1, `F − 1` or the number of pairs, by type; M is `F − 1`, or the number of pairs.
        """
        fields, dim = self._sizes(input_shape)
        mapped = work_of(self._projection(fields, dim), self._projected_shape(fields, dim))
        # For every pair, the output, the second field, and the first before or after the map.
        return mapped + Work(saved_elements=3 * dim * fields * (fields - 1) // 2)

    def get_config(self):
        """Returns the constructor arguments."""
        return {
            **super().get_config(),
            "bilinear_type": self.bilinear_type,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }

    def _projection(self, fields, dim):
        """Returns the layer that maps the first fields of the pairs, not built yet."""
        options = {
            "use_bias": False,
            "kernel_initializer": fresh(self.kernel_initializer),
            "name": "projection",
            "dtype": self.dtype_policy,
        }
        if self.bilinear_type == "field_all":
            return keras.layers.Dense(dim, **options)
        return StackedDense(self._projected_shape(fields, dim)[1], dim, **options)

    def _projected_shape(self, fields, dim):
        """Returns the shape of the fields that are mapped: one per pair, or all but the last."""
        pairwise = self.bilinear_type == "field_interaction"
        return (None, fields * (fields - 1) // 2 if pairwise else fields - 1, dim)

    def _sizes(self, input_shape):
        """Returns the number of fields and their width."""
        fields, dim = check_tokens(self, input_shape)
        if fields < 2:
            raise ValueError(
                f"`{self.name}` multiplies pairs of fields and needs two fields or more. "
                f"Received: input_shape={tuple(input_shape)}"
            )
        return fields, dim
