"""Second-order term of a factorization machine."""

import keras
from keras import ops

from kranking import ops as kops
from kranking._core import Shape, serializable
from kranking.layers._contract._work import Work


@serializable
class FactorizationMachine(keras.layers.Layer):
    """Second-order term of a factorization machine (FM): the sum of pairwise dot products of fields.

    `y = Σ_{i<j} ⟨E_i, E_j⟩ = ½ Σ_d [(Σ_f E_fd)² − Σ_f E_fd²]`. The layer has no weights; add a
    `LinearTerm` for the first-order term. The two sums nearly cancel, so they are computed in
    float32 under mixed precision.

    Args:
        **kwargs: Keyword arguments of `keras.layers.Layer`.

    Input shape: `(batch, fields, dim)`.
    Output shape: `(batch, 1)`; for several tasks, `Parallel(..., merge="sum")` adds it to each.
    Raises: `ValueError` at build time unless the input has known numbers of fields and channels.

    >>> fields = np.array([[[1.0, 2.0], [3.0, 4.0]]], "float32")
    >>> keras.ops.convert_to_numpy(kr.layers.FactorizationMachine()(fields)).tolist()
    [[11.0]]

    Reference: [Rendle, 2010](https://doi.org/10.1109/ICDM.2010.127)
    """

    takes = "tokens"
    gives = "flat"

    def build(self, input_shape: Shape):
        """Checks the input shape; there are no weights."""
        _, dim = tokens_shape(self, input_shape)
        self.input_spec = keras.layers.InputSpec(ndim=3, axes={-1: dim})

    def call(self, inputs):
        """Computes half of the squared sum minus the sum of squares."""
        fields = ops.cast(inputs, kops.wide(self.compute_dtype))
        square_of_sum = ops.square(ops.sum(fields, axis=1))  # (batch, dim)
        sum_of_squares = ops.sum(ops.square(fields), axis=1)
        outputs = 0.5 * ops.sum(square_of_sum - sum_of_squares, axis=-1, keepdims=True)
        return ops.cast(outputs, self.compute_dtype)

    def compute_output_shape(self, input_shape: Shape):
        """Returns `(batch, 1)`."""
        tokens_shape(self, input_shape)
        return (input_shape[0], 1)

    def work(self, input_shape: Shape) -> Work:
        """Counts no parameters and no matrix products; the sum of the fields is saved."""
        _, dim = tokens_shape(self, input_shape)
        return Work(0, 0, dim + 1)


def tokens_shape(layer: keras.layers.Layer, input_shape: Shape) -> tuple[int, int]:
    """Returns the number of tokens and their width; raises `ValueError` unless both are known."""
    if len(input_shape) != 3 or input_shape[1] is None or input_shape[2] is None:
        raise ValueError(
            f"`{layer.name}` takes tokens (batch, fields, dim) of known sizes. "
            f"Received: input_shape={tuple(input_shape)}"
        )
    return input_shape[1], input_shape[2]
