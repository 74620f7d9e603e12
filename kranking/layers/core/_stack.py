"""Stacking of fields of equal width to tokens."""

import keras
from keras import ops

from kranking._core import check_known_width, serializable
from kranking.layers._contract._work import Work
from kranking.layers.core._concatenate import check_fields


@serializable
class Stack(keras.layers.Layer):
    """Stacks fields of equal width to tokens, `X = [e₁; …; e_F]`.

    The fields are not projected: the tokens are the embeddings, as in factorization machines. Use
    `Tokenizer` for fields of different widths.

    Args:
        **kwargs: Keyword arguments of `keras.layers.Layer`.

    Input shape: a list of one or more fields `(batch, dim)`.
    Output shape: `(batch, fields, dim)`.
    Raises: `ValueError` at build time if the widths of the fields differ.

    >>> fields = [np.ones((2, 4), "float32"), np.ones((2, 4), "float32")]
    >>> tuple(kr.layers.Stack()(fields).shape)
    (2, 2, 4)
    """

    takes = "fields"
    gives = "tokens"

    def build(self, input_shape):
        """Checks that every field has the same known width."""
        self.compute_output_shape(input_shape)

    def call(self, inputs):
        """Stacks the fields."""
        fields = list(inputs) if isinstance(inputs, list | tuple) else [inputs]
        return ops.stack(fields, axis=1)

    def compute_output_shape(self, input_shape):
        """Returns `(batch, fields, dim)`."""
        shapes = check_fields(self, input_shape)
        widths = [check_known_width(self, shape) for shape in shapes]
        if len(set(widths)) > 1:
            raise ValueError(
                f"`{self.name}` stacks fields of equal width. Use one `embedding_dim` for all features, "
                f"or project them with a `Tokenizer`. Received: widths {widths}"
            )
        return (shapes[0][0], len(widths), widths[0])

    def work(self, input_shape) -> Work:
        """Counts no parameters and no matrix products."""
        _, tokens, dim = self.compute_output_shape(input_shape)
        return Work(saved_elements=tokens * dim)
