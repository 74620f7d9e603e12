"""Pairwise dot products of tokens."""

import keras
import numpy as np
from keras import ops

from kranking import ops as kops
from kranking._core import Shape, serializable
from kranking.layers._contract._tokens import check_tokens
from kranking.layers._contract._work import Work


@serializable
class DotInteraction(keras.layers.Layer):
    """Pairwise dot products of all tokens.

    `Z = X Xᵀ` and `y = (Z_ij)` for `i > j`, row by row: `Z_10, Z_20, Z_21, Z_30, …`, in the order
    of the DLRM authors' code. There are no weights. The full `Z` is computed, since one matrix
    product is faster than many small ones.

    Args:
        self_interaction: Whether to include `Z_ii`, at the end of each row.
        **kwargs: Keyword arguments of `keras.layers.Layer`.

    Input shape: `(batch, tokens, dim)`.
    Output shape: `(batch, n(n − 1) / 2)` for `n` tokens; `n(n + 1) / 2` with `self_interaction`.

    >>> layer = kr.layers.DotInteraction()
    >>> x = np.array([[[1.0, 0.0], [2.0, 3.0], [4.0, 5.0]]])
    >>> keras.ops.convert_to_numpy(layer(x)).tolist()
    [[2.0, 4.0, 23.0]]

    Reference: [Naumov et al., 2019, section 2.1.3](https://arxiv.org/abs/1906.00091)
    """

    takes = "tokens"
    gives = "flat"

    def __init__(self, self_interaction: bool = False, **kwargs):
        super().__init__(**kwargs)
        self.self_interaction = bool(self_interaction)

    def build(self, input_shape: Shape):
        """Computes the indices of the pairs in the flattened `Z`."""
        self._num_pairs(input_shape)
        tokens, _ = check_tokens(self, input_shape)
        rows, columns = np.tril_indices(tokens, 0 if self.self_interaction else -1)
        self._places = (rows * tokens + columns).astype("int32")
        self.input_spec = keras.layers.InputSpec(ndim=3, axes={1: tokens})

    def call(self, inputs):
        """Computes all dot products and selects the lower triangle."""
        tokens = inputs.shape[1]
        wide = kops.wide(self.compute_dtype)  # partial sums may overflow half precision
        values = ops.cast(inputs, wide)
        products = ops.matmul(values, ops.transpose(values, (0, 2, 1)))  # (B, n, n)
        pairs = ops.take(ops.reshape(products, (-1, tokens * tokens)), self._places, axis=1)
        return ops.cast(pairs, self.compute_dtype)

    def compute_output_shape(self, input_shape: Shape):
        """Returns `(batch, number of pairs)`."""
        return (input_shape[0], self._num_pairs(input_shape))

    def work(self, input_shape: Shape) -> Work:
        """Counts no parameters and `2n²D` FLOPs."""
        tokens, dim = check_tokens(self, input_shape)
        return Work(0, 2 * tokens**2 * dim, self._num_pairs(input_shape))

    def get_config(self):
        """Returns the constructor arguments."""
        return {**super().get_config(), "self_interaction": self.self_interaction}

    def _num_pairs(self, input_shape):
        tokens, _ = check_tokens(self, input_shape)
        pairs = tokens * (tokens + (1 if self.self_interaction else -1)) // 2
        if not pairs:
            raise ValueError(
                f"`{self.name}` needs at least two tokens, or `self_interaction=True`. "
                f"Received: input_shape={tuple(input_shape)}"
            )
        return pairs
