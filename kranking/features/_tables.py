"""Grouping of embedding tables that share one lookup."""

import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from kranking._core import fresh
from kranking.features._categorical import Categorical
from kranking.features._feature import Feature
from kranking.features._numeric import Numeric

_LARGE = 10_000_000  # parameters; 40 MB of weights


@dataclass
class Table:
    """Embedding tables of several features, concatenated along rows."""

    name: str
    width: int
    regularizer: Any
    features: list[Any]

    @property
    def num_rows(self) -> int:
        return sum(f.num_rows for f in self.features)

    @property
    def offsets(self) -> dict[str, int]:
        starts, row = {}, 0
        for feature in self.features:
            starts[feature.name] = row
            row += feature.num_rows
        return starts

    def initialize(self, shape, dtype=None):
        """Initializes the rows of each feature with its initializer, as if it were a separate table."""
        parts = [fresh(f.initializer)((f.num_rows, self.width), dtype=dtype) for f in self.features]
        return ops.concatenate(parts, axis=0)


def plan_tables(features: Iterable[Feature]) -> list[Table]:
    """Groups features whose tables have equal width and regularizers, if these are sums over rows."""
    groups: dict[Any, Table] = {}
    for feature in features:
        if not isinstance(feature, Categorical) and not (
            isinstance(feature, Numeric) and feature.bucketized
        ):
            continue
        regularizer = keras.regularizers.get(feature.regularizer)
        additive = regularizer is None or type(regularizer) in (
            keras.regularizers.L1,
            keras.regularizers.L2,
            keras.regularizers.L1L2,
        )
        key = (feature.width, str(keras.regularizers.serialize(regularizer)) if regularizer else "")
        if not additive:
            key = (feature.width, feature.name)
        if key not in groups:
            name = f"embeddings_{len(groups)}_width_{feature.width}"
            groups[key] = Table(name, feature.width, regularizer, [])
        groups[key].features.append(feature)
    for table in groups.values():
        if table.num_rows >= 2**31:
            raise ValueError(
                f"Tables of one width must have fewer than 2³¹ rows together. Received: {table.num_rows:,} "
                f"rows of width {table.width} of the features {[f.name for f in table.features]}. Declare "
                "fewer rows, or another `embedding_dim` for some of them"
            )
    return list(groups.values())


def warn_of_large_tables(features: Iterable[Feature]) -> None:
    """Warns of each large table whose width nobody chose."""
    for feature in features:
        if not isinstance(feature, Categorical) or feature.embedding_dim:
            continue
        rows, width = feature.num_rows, feature.width
        if rows * width > _LARGE:
            warnings.warn(
                f"Feature {feature.name!r} has no `embedding_dim`: {rows:,} rows of the default width "
                f"{width} are {rows * width:,} parameters ({rows * width * 4 / 1e6:,.0f} MB, and twice "
                "as much again for Adam). Pass a width such as `embedding_dim=16`, or have fewer rows "
                "by `min_count` or `hash_buckets`.",
                stacklevel=2,
            )


def rows_within(ids: Any, num_rows: Any) -> Any:
    """Returns int32 ids with 0 for ids outside of the table, which frameworks treat differently.

    Args:
        ids: Integer ids.
        num_rows: Number of rows in the table, or one number for each column of ids.
    """
    ids = ops.convert_to_tensor(ids)
    last = np.asarray(num_rows, "int32") - 1
    # Compared before the cast, which would map int64 ids above 2^31 to other ids. Not with `less`, which
    # tf2onnx converts to float32, where the last of 2^24 rows and the next number are equal.
    inside = ops.logical_and(ops.greater_equal(ids, 0), ops.less_equal(ids, last))
    return ops.where(inside, ops.cast(ids, "int32"), 0)


def valid_places(ids: Any) -> Any:
    """Returns a mask of the places that contain a value in padded lists of ids."""
    return ops.greater_equal(ids, 0)
