"""The operations of `features.encode_raw` in TensorFlow."""

from collections.abc import Sequence
from typing import Any

import numpy as np


class TensorFlowOps:
    """Operations on tensors; the tables of its look-ups have to live as long as the graph.

    Attributes:
        tables: The look-up tables made so far, by vocabulary.
    """

    def __init__(self):
        import tensorflow as tf

        self.tables: dict[Any, Any] = {}
        self.tf = tf
        self.absolute, self.sign, self.log = tf.abs, tf.sign, tf.math.log
        self.add, self.subtract, self.multiply = tf.add, tf.subtract, tf.multiply
        self.floor_mod, self.where = tf.math.floormod, tf.where
        self.minimum, self.maximum = tf.minimum, tf.maximum
        self.less, self.less_equal, self.equal = tf.less, tf.less_equal, tf.equal
        self.logical_or, self.cast = tf.logical_or, tf.cast

    def divide(self, x: Any, y: Any) -> Any:
        """Divides; integers without remainder."""
        return self.tf.math.floordiv(x, y) if x.dtype.is_integer else self.tf.divide(x, y)

    def column(self, x: Any) -> Any:
        """Makes (batch, 1) of (batch,)."""
        return x[:, None]

    def flat(self, x: Any) -> Any:
        """Makes (batch,) of (batch, 1)."""
        return x[:, 0]

    def concatenate(self, parts: Sequence[Any]) -> Any:
        """Puts matrices side by side."""
        return self.tf.concat(parts, axis=1)

    def split(self, x: Any, widths: Sequence[int]) -> list[Any]:
        """Cuts a matrix into parts of these widths."""
        return self.tf.split(x, list(widths), axis=1)

    def total(self, x: Any) -> Any:
        """Sums each row, to (batch, 1)."""
        return self.tf.reduce_sum(x, axis=1, keepdims=True)

    def take_along(self, x: Any, positions: Any) -> Any:
        """Gives each row's values at its positions."""
        return self.tf.gather(x, positions, batch_dims=1)

    def width(self, x: Any) -> int:
        """Gives the last dimension."""
        return int(x.shape[-1])

    def numpy_dtype(self, x: Any) -> Any:
        """Gives the type of a tensor's values."""
        return x.dtype.as_numpy_dtype

    def lookup(self, x: Any, vocabulary: tuple[Any, ...]) -> Any:
        """Gives 1 + the position of each value in the vocabulary, 0 for all others."""
        tf = self.tf
        if not vocabulary:
            return tf.zeros_like(x, tf.int32)
        if vocabulary not in self.tables:
            with tf.init_scope():  # a table made inside a graph would belong to that graph
                keys = tf.constant(vocabulary, x.dtype)
                rows = tf.range(1, len(vocabulary) + 1, dtype=tf.int32)
                found = tf.lookup.KeyValueTensorInitializer(keys, rows)
                self.tables[vocabulary] = tf.lookup.StaticHashTable(found, 0)
        return self.tables[vocabulary].lookup(x)


def constant_of(column: np.ndarray) -> Any:
    """Makes a tensor of an array; strings may come as objects or as NumPy's own."""
    import tensorflow as tf

    return tf.constant(column.astype(object) if column.dtype.kind == "U" else column)
