"""Fields to one flat vector."""

import keras
from keras import ops

from kranking._core import check_known_width, serializable
from kranking.layers._shapes import shapes_of
from kranking.layers._work import Work


@serializable
class Concatenate(keras.layers.Layer):
    """Joins fields into one flat vector, `x = e₁ ‖ … ‖ e_F`, in the order they come.

    Args:
        **kwargs: Keyword arguments of `keras.layers.Layer`.

    Input shape: a list of fields `(batch, d_i)`, one or more, of any widths.
    Output shape: `(batch, Σ d_i)`.

    >>> fields = [np.ones((2, 3), "float32"), np.ones((2, 1), "float32")]
    >>> tuple(kr.layers.Concatenate()(fields).shape)
    (2, 4)
    """

    takes = "fields"
    gives = "flat"

    def build(self, input_shape):
        """Checks that every field has a known width."""
        self.compute_output_shape(input_shape)

    def call(self, inputs):
        """Joins the fields."""
        fields = list(inputs) if isinstance(inputs, list | tuple) else [inputs]
        return fields[0] if len(fields) == 1 else ops.concatenate(fields, axis=-1)

    def compute_output_shape(self, input_shape):
        """Gives `(batch, Σ d_i)`."""
        shapes = check_fields(self, input_shape)
        return (shapes[0][0], sum(check_known_width(self, shape) for shape in shapes))

    def work(self, input_shape) -> Work:
        """Counts no parameter and no matrix product."""
        return Work(saved_elements=self.compute_output_shape(input_shape)[1])


def check_fields(layer: keras.layers.Layer, input_shape) -> list:
    """Gives the shapes of the fields, or raises unless each is (batch, width)."""
    shapes = shapes_of(input_shape)
    if any(len(shape) != 2 for shape in shapes):
        raise ValueError(
            f"`{layer.name}` takes a list of fields of shape (batch, width). "
            f"Received: input_shape={shapes}"
        )
    return shapes
