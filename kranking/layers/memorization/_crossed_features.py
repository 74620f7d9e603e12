"""Crossed features, the wide part of Wide & Deep."""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import keras
import numpy as np
from keras import ops

from kranking import ops as kops
from kranking._core import Shape, check_positive_int, serializable
from kranking.layers._contract._open_arguments import required_argument
from kranking.layers._contract._work import Work, table_work


@serializable
class CrossedFeatures(keras.layers.Layer):
    """Hashed cross-product features of Wide & Deep: one learned weight per pair of categorical values.

    `y_t = Σ_(i,j) w_t[hash(x_i, x_j, p) mod num_buckets]`, over the pairs `p = (i, j)` of columns.
    All pairs share one table. Except for hash collisions, each pair of values has its own weight,
    as in the cross-product transformation of the paper: use several times as many buckets as there
    are frequent pairs of values. The sum is computed in float32.

    Args:
        pairs: Pairs of column positions, or `"all"` for all pairs of columns.
        num_buckets: Number of rows of the shared table.
        num_tasks: Number of outputs. `None` lets `RankingModel` fill it in; required if the layer
            is used on its own.
        initializer: Initializer of the table. With zeros, pairs unseen in training contribute
            nothing.
        regularizer: Regularizer of the table.
        **kwargs: Keyword arguments of `keras.layers.Layer`.

    Input shape: ids `(batch, columns)`; in a `RankingModel`, the table rows of the single-valued
        categorical features, in order.
    Output shape: `(batch, num_tasks)`.
    Raises: `ValueError` at build time if a pair refers to a missing column.

    >>> layer = kr.layers.CrossedFeatures(pairs=[(0, 2)], num_buckets=1000, num_tasks=1)
    >>> tuple(layer(np.array([[3, 1, 4], [1, 5, 9]], "int32")).shape)
    (2, 1)

    Reference: [Cheng et al., 2016, equation 1](https://arxiv.org/abs/1606.07792)
    """

    takes = "ids"
    gives = "flat"

    def __init__(
        self,
        pairs: Sequence[tuple[int, int]] | str = "all",
        num_buckets: int = 100_000,
        num_tasks: int | None = None,
        initializer="zeros",
        regularizer=None,
        **kwargs,
    ):
        pairs = check_pairs(pairs)
        check_positive_int("num_buckets", num_buckets)
        check_positive_int("num_tasks", num_tasks, optional=True)
        # Without autocast the table stays in float32: only the looked-up weights are cast.
        super().__init__(autocast=False, **kwargs)
        self.pairs = pairs
        self.num_buckets = num_buckets
        self.num_tasks = num_tasks
        self.initializer = keras.initializers.get(initializer)
        self.regularizer = keras.regularizers.get(regularizer)

    def build(self, input_shape: Shape):
        """Creates the table of weights."""
        self._columns = np.array(self._pairs_of(input_shape), "int32").T
        weights = self.add_weight(
            shape=(self.num_buckets, required_argument(self, "num_tasks", "tasks")),
            initializer=self.initializer,
            regularizer=self.regularizer,
            name="table",
            autocast=False,  # the looked-up rows are cast
        )
        self.table = kops.embedding_table(weights)
        self.input_spec = keras.layers.InputSpec(ndim=2, axes={-1: input_shape[-1]})

    def call(self, inputs):
        """Hashes all pairs and sums their weights."""
        left, right = (ops.take(inputs, columns, axis=1) for columns in self._columns)
        # The index of the pair distinguishes equal ids of different columns.
        salts = np.arange(self._columns.shape[1], dtype="int32")
        buckets = kops.hash_pairs(left, right, salts, self.num_buckets)  # (batch, pairs)
        weights = ops.cast(kops.take_rows(self.table, buckets), kops.wide(self.compute_dtype))
        return ops.cast(ops.sum(weights, axis=1), self.compute_dtype)

    def compute_output_shape(self, input_shape: Shape):
        """Returns `(batch, num_tasks)`."""
        self._pairs_of(input_shape)
        return (input_shape[0], required_argument(self, "num_tasks", "tasks"))

    def compute_output_spec(self, inputs):
        """Returns the output spec in the compute dtype, independent of the integer type of the ids."""
        return keras.KerasTensor(self.compute_output_shape(inputs.shape), self.compute_dtype)

    def work(self, input_shape: Shape) -> Work:
        """Counts `num_buckets · T` parameters; a lookup is no matrix product."""
        tasks = required_argument(self, "num_tasks", "tasks")
        return table_work(self.num_buckets * tasks, len(self._pairs_of(input_shape)) + tasks)

    def get_config(self):
        """Returns the constructor arguments."""
        return {
            **super().get_config(),
            "pairs": self.pairs,
            "num_buckets": self.num_buckets,
            "num_tasks": self.num_tasks,
            "initializer": keras.initializers.serialize(self.initializer),
            "regularizer": keras.regularizers.serialize(self.regularizer),
        }

    def _pairs_of(self, input_shape):
        """Returns the pairs of columns, or raises if one is not among the input's."""
        columns = input_shape[-1] if len(input_shape) == 2 else None
        if columns is None or columns < 2:
            raise ValueError(
                f"`{self.name}` takes ids (batch, columns) with at least two columns. "
                f"Received: input_shape={tuple(input_shape)}"
            )
        if self.pairs == "all":
            return list(combinations(range(columns), 2))
        missing = [pair for pair in self.pairs if max(pair) >= columns]
        if missing:
            raise ValueError(
                f"`pairs` of `{self.name}` must be positions of {columns} columns. "
                f"Received: pairs={missing}"
            )
        return list(self.pairs)


def check_pairs(pairs: Any) -> Any:
    """Returns `"all"`, or the pairs as tuples; raises `ValueError` unless all are valid and distinct."""
    if isinstance(pairs, str) and pairs == "all":
        return pairs
    good = isinstance(pairs, list | tuple) and len(pairs) > 0
    good = good and all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in pairs)
    good = good and all(type(i) is int and i >= 0 for pair in pairs for i in pair)
    if not good or any(len({*pair}) < 2 for pair in pairs) or _twice(pairs):
        raise ValueError(
            '`pairs` must be "all" or a list of distinct pairs of different column positions. '
            f"Received: pairs={pairs!r}"
        )
    return tuple(tuple(pair) for pair in pairs)


def _twice(pairs) -> bool:
    return len({frozenset(pair) for pair in pairs}) < len(pairs)
