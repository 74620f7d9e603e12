"""Layer normalization per field of a flat vector."""

from itertools import groupby

import keras
from keras import ops

from kranking import ops as kops
from kranking._core import (
    Shape,
    check_known_width,
    check_number,
    check_positive_ints,
    serializable,
)
from kranking.layers._contract._work import Work, elements


@serializable
class FieldNormalization(keras.layers.Layer):
    """Layer normalization applied to each field of a flat vector separately.

    For field `f`, `y_f = (x_f - mean(x_f)) / sqrt(var(x_f) + epsilon) · γ_f + β_f`, with separate
    `γ_f` and `β_f`. A field of width 1 is only scaled and shifted: normalizing a scalar would
    replace it by a constant.

    Args:
        field_dims: Width of each field, in order. `None` lets `RankingModel` fill it in; required
            if the layer is used on its own.
        epsilon: Added to the variance.
        **kwargs: Keyword arguments of `keras.layers.Layer`.

    Input shape: `(batch, width)`, with `width = sum(field_dims)`.
    Output shape: the input shape.
    Raises: `ValueError` at build time if `field_dims` is missing or does not sum to the width.

    >>> layer = kr.layers.FieldNormalization(field_dims=(2, 1))
    >>> y = layer(np.array([[1.0, 5.0, 7.0]], "float32"))
    >>> keras.ops.convert_to_numpy(y).round(2).tolist()
    [[-1.0, 1.0, 7.0]]

    Reference: [Wang et al., 2021](https://arxiv.org/abs/2102.07619)
    """

    takes = "flat"
    gives = "flat"

    def __init__(self, field_dims: tuple[int, ...] | None = None, epsilon: float = 1e-5, **kwargs):
        check_number("epsilon", epsilon, low=0.0)
        super().__init__(**kwargs)
        self.field_dims = (
            None if field_dims is None else check_positive_ints("field_dims", field_dims)
        )
        self.epsilon = epsilon

    def build(self, input_shape: Shape):
        """Creates the scale and the offset, one vector each for all fields."""
        width = check_known_width(self, input_shape)
        check_field_dims(self, self.field_dims, width)
        self.gamma = self.add_weight(shape=(width,), initializer="ones", name="gamma")
        self.beta = self.add_weight(shape=(width,), initializer="zeros", name="beta")
        self.input_spec = keras.layers.InputSpec(ndim=2, axes={-1: width})

    def call(self, inputs):
        """Normalizes consecutive fields of equal width together, to use few operations."""
        wide = kops.wide(self.compute_dtype)
        values = ops.cast(inputs, wide)
        parts, start = [], 0
        for dim, run in groupby(self.field_dims or ()):
            count = len(list(run))
            part = values[:, start : start + dim * count]
            parts.append(part if dim == 1 else self._normalize(part, count, dim))
            start += dim * count
        values = parts[0] if len(parts) == 1 else ops.concatenate(parts, axis=-1)
        outputs = values * ops.cast(self.gamma, wide) + ops.cast(self.beta, wide)
        return ops.cast(outputs, self.compute_dtype)

    def compute_output_shape(self, input_shape: Shape):
        """Returns the input shape."""
        return input_shape

    def work(self, input_shape: Shape) -> Work:
        """Counts `2W` parameters and no matrix products."""
        width = check_known_width(self, input_shape)
        return Work(2 * width, 0, elements(input_shape))

    def get_config(self):
        """Returns the constructor arguments."""
        return {**super().get_config(), "field_dims": self.field_dims, "epsilon": self.epsilon}

    def _normalize(self, part, count, dim):
        fields = ops.reshape(part, (-1, count, dim))
        centred = fields - ops.mean(fields, axis=-1, keepdims=True)
        variance = ops.mean(ops.square(centred), axis=-1, keepdims=True)
        return ops.reshape(centred * ops.rsqrt(variance + self.epsilon), (-1, count * dim))


def check_field_dims(layer: keras.layers.Layer, field_dims, width: int) -> None:
    """Raises `ValueError` unless `field_dims` is given and sums to `width`."""
    if field_dims is None:
        raise ValueError(
            f"`{layer.name}` normalizes each field and needs `field_dims`, the width of each field; "
            "a `RankingModel` fills it in for its first block. Pass it, or use `ln_emb='whole'` in "
            "a MaskNet. Received: field_dims=None"
        )
    if sum(field_dims) != width:
        raise ValueError(
            f"`field_dims` of `{layer.name}` must sum to the input's width, {width}. "
            f"Received: field_dims={tuple(field_dims)}, which sums to {sum(field_dims)}"
        )
