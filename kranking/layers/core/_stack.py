"""Fields of one width to tokens."""

import keras
from keras import ops

from kranking._core import check_known_width, serializable
from kranking.layers._contract._work import Work
from kranking.layers.core._concatenate import check_fields


@serializable
class Stack(keras.layers.Layer):
    """Puts fields of equal width on top of each other as tokens, `X = [e₁; …; e_F]`.

    Nothing is projected: the tokens are the embeddings that the papers on factorization machines write.
    For fields of unequal widths there is `Tokenizer`.

    Args:
        **kwargs: Keyword arguments of `keras.layers.Layer`.

    Input shape: a list of fields `(batch, dim)`, one or more.
    Output shape: `(batch, fields, dim)`.
    Raises: `ValueError` at build if the fields' widths differ.

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
                f"`{self.name}` stacks fields of one width. Give the features one `embedding_dim`, or "
                f"project them with a `Tokenizer`. Received: widths {widths}"
            )
        return (shapes[0][0], len(widths), widths[0])

    def work(self, input_shape) -> Work:
        """Counts no parameters and no matrix products."""
        _, tokens, dim = self.compute_output_shape(input_shape)
        return Work(saved_elements=tokens * dim)
