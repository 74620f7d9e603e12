"""TensorFlow implementation of the operations of `features.encode_raw`."""

from collections.abc import Sequence
from typing import Any

import numpy as np


class TensorFlowOps:
    """Operations on tensors; its lookup tables must live as long as the graph.

    Attributes:
        tables: The lookup tables created so far, by vocabulary.
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
        """Computes `x / y`; for integers, the quotient without remainder."""
        return self.tf.math.floordiv(x, y) if x.dtype.is_integer else self.tf.divide(x, y)

    def column(self, x: Any) -> Any:
        """Reshapes `(batch,)` to `(batch, 1)`."""
        return x[:, None]

    def flat(self, x: Any) -> Any:
        """Reshapes `(batch, 1)` to `(batch,)`."""
        return x[:, 0]

    def concatenate(self, parts: Sequence[Any]) -> Any:
        """Concatenates matrices along their columns."""
        return self.tf.concat(parts, axis=1)

    def split(self, x: Any, widths: Sequence[int]) -> list[Any]:
        """Splits the columns of a matrix into parts of these widths."""
        return self.tf.split(x, list(widths), axis=1)

    def total(self, x: Any) -> Any:
        """Computes the sum of each row, `(batch, 1)`."""
        return self.tf.reduce_sum(x, axis=1, keepdims=True)

    def take_along(self, x: Any, positions: Any) -> Any:
        """Returns the values of each row at its positions."""
        return self.tf.gather(x, positions, batch_dims=1)

    def width(self, x: Any) -> int:
        """Returns the last dimension."""
        return int(x.shape[-1])

    def numpy_dtype(self, x: Any) -> Any:
        """Returns the NumPy dtype of the elements."""
        return x.dtype.as_numpy_dtype

    def lookup(self, x: Any, vocabulary: tuple[Any, ...]) -> Any:
        """Returns 1 + the position of each value in the vocabulary, 0 for unknown values."""
        tf = self.tf
        if not vocabulary:
            return tf.zeros_like(x, tf.int32)
        if vocabulary not in self.tables:
            with tf.init_scope():  # a table created inside a graph would belong to that graph
                keys = tf.constant(vocabulary, x.dtype)
                rows = tf.range(1, len(vocabulary) + 1, dtype=tf.int32)
                found = tf.lookup.KeyValueTensorInitializer(keys, rows)
                self.tables[vocabulary] = tf.lookup.StaticHashTable(found, 0)
        return self.tables[vocabulary].lookup(x)


def constant_of(column: np.ndarray) -> Any:
    """Converts an array to a tensor; strings may be objects or have a NumPy string dtype."""
    import tensorflow as tf

    return tf.constant(column.astype(object) if column.dtype.kind == "U" else column)
