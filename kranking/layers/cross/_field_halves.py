"""The input order of the cross networks of SDCNv3."""

from itertools import groupby

import keras
from keras import ops

from kranking._core import Shape, check_known_width, check_positive_ints, serializable
from kranking.layers._contract._open_arguments import required_argument
from kranking.layers._contract._work import Work


@serializable
class FieldHalves(keras.layers.Layer):
    """Reorders a flat vector: the first halves of all fields, then the second halves.

    `y = e₁[:d₁/2] ‖ … ‖ e_F[:d_F/2] ‖ e₁[d₁/2:] ‖ … ‖ e_F[d_F/2:]`. The cross networks of SDCNv3
    multiply one half of their input by a projection and the other half by a masked projection; in
    this order, every field is multiplied by both.

    The halves of a field of odd width, such as a scalar, differ by one: the first half is larger
    for the first such field, the second half for the next, and so on alternately. So the total
    widths of the two parts differ by at most one, nothing is padded, and a scalar is multiplied by
    one of the two projections. The paper only uses even widths.

    Args:
        field_dims: Width of each field, in order. `None` lets `RankingModel` fill it in; required
            if the layer is used on its own.
        **kwargs: Keyword arguments of `keras.layers.Layer`.

    Input shape: `(batch, width)`, with `width = sum(field_dims)`.
    Output shape: the input shape.
    Raises: `ValueError` at build time if `field_dims` is missing or does not sum to the width.

    >>> layer = kr.layers.FieldHalves(field_dims=(4, 1, 1))
    >>> keras.ops.convert_to_numpy(layer(np.array([[1, 2, 3, 4, 5, 6]], "float32"))).tolist()
    [[1.0, 2.0, 5.0, 3.0, 4.0, 6.0]]

    Reference: [Li et al., 2024](https://arxiv.org/abs/2407.13349)
    """

    takes = "flat"
    gives = "flat"

    def __init__(self, field_dims: tuple[int, ...] | None = None, **kwargs):
        super().__init__(**kwargs)
        self.field_dims = (
            None if field_dims is None else check_positive_ints("field_dims", field_dims)
        )

    def build(self, input_shape: Shape):
        """Checks that the field widths sum to the width of the input."""
        width = check_known_width(self, input_shape)
        dims = required_argument(self, "field_dims", "fields")
        if sum(dims) != width:
            raise ValueError(
                f"`field_dims` of `{self.name}` must sum to the input's width, {width}. "
                f"Received: field_dims={dims}, which sums to {sum(dims)}"
            )
        self.input_spec = keras.layers.InputSpec(ndim=2, axes={-1: width})

    def call(self, inputs):
        """Splits consecutive fields of equal width together, to use few operations."""
        first, second = [], []
        start, longer_first = 0, True
        for dim, run in groupby(self.field_dims or ()):
            count = len(list(run))
            if dim % 2 == 0:
                part = inputs[:, start : start + count * dim]
                halves = ops.reshape(part, (-1, count, 2, dim // 2))
                first.append(ops.reshape(halves[:, :, 0], (-1, count * dim // 2)))
                second.append(ops.reshape(halves[:, :, 1], (-1, count * dim // 2)))
            for position in range(start, start + count * dim, dim) if dim % 2 else ():
                middle = position + dim // 2 + longer_first
                first.append(inputs[:, position:middle])
                second.append(inputs[:, middle : position + dim])
                longer_first = not longer_first
            start += count * dim
        # One half of a scalar is empty.
        return ops.concatenate([part for part in first + second if part.shape[1]], axis=-1)

    def compute_output_shape(self, input_shape: Shape):
        """Returns the input shape."""
        return input_shape

    def work(self, input_shape: Shape) -> Work:
        """Counts no parameters and no matrix products."""
        return Work(saved_elements=check_known_width(self, input_shape))

    def get_config(self):
        """Returns the constructor arguments."""
        return {**super().get_config(), "field_dims": self.field_dims}
