"""Concatenation of fields to one flat vector."""

from collections.abc import Sequence

import keras
from keras import ops

from kranking._core import check_known_width, serializable
from kranking.layers._contract._shapes import shapes_of
from kranking.layers._contract._work import Work


@serializable
class Concatenate(keras.layers.Layer):
    """Concatenates fields to one flat vector, in order.

    `x = e₁ ‖ … ‖ e_F`. The layer can also concatenate whole views: in a `keras.Sequential`,
    `Concatenate(("flat", "numeric"))` adds the raw numeric features to the input of a layer that
    takes a flat vector, and `Concatenate(("numeric",))` passes only those.

    Args:
        views: The inputs requested from the model builder: `"fields"`, or a list of views that are
            flat vectors.
        **kwargs: Keyword arguments of `keras.layers.Layer`.

    Input shape: a list of one or more fields `(batch, d_i)`, of any widths.
    Output shape: `(batch, Σ d_i)`.

    >>> fields = [np.ones((2, 3), "float32"), np.ones((2, 1), "float32")]
    >>> tuple(kr.layers.Concatenate()(fields).shape)
    (2, 4)
    """

    gives = "flat"

    def __init__(self, views: str | Sequence[str] = "fields", **kwargs):
        many = isinstance(views, list | tuple) and len(views) > 0
        if views != "fields" and not (many and all(isinstance(view, str) for view in views)):
            raise ValueError(
                "`views` must be 'fields' or a non-empty list of view names. "
                f"Received: views={views!r}"
            )
        super().__init__(**kwargs)
        self.views = views if isinstance(views, str) else tuple(views)

    @property
    def takes(self):
        """The requested views."""
        return self.views

    def build(self, input_shape):
        """Checks that every field has a known width."""
        self.compute_output_shape(input_shape)

    def call(self, inputs):
        """Concatenates the fields."""
        fields = list(inputs) if isinstance(inputs, list | tuple) else [inputs]
        return fields[0] if len(fields) == 1 else ops.concatenate(fields, axis=-1)

    def compute_output_shape(self, input_shape):
        """Returns `(batch, Σ d_i)`."""
        shapes = check_fields(self, input_shape)
        return (shapes[0][0], sum(check_known_width(self, shape) for shape in shapes))

    def work(self, input_shape) -> Work:
        """Counts no parameters and no matrix products."""
        return Work(saved_elements=self.compute_output_shape(input_shape)[1])

    def get_config(self):
        """Returns the constructor arguments."""
        return {**super().get_config(), "views": self.views}


def check_fields(layer: keras.layers.Layer, input_shape) -> list:
    """Returns the shapes of the fields; raises `ValueError` unless each is (batch, width)."""
    shapes = shapes_of(input_shape)
    if any(len(shape) != 2 for shape in shapes):
        raise ValueError(
            f"`{layer.name}` expects a list of fields of shape (batch, width). "
            f"Received: input_shape={shapes}"
        )
    return shapes
