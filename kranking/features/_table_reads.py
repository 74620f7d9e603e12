"""A single lookup for the ids of all features, across tables."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from kranking.features._tables import rows_within
from kranking.ops import take_rows


class TableRead(NamedTuple):
    """Ids that index a table: input name, number of rows, first row, and whether ids are lists."""

    name: str
    num_rows: int
    offset: int
    listed: bool


def read_tables(
    groups: list[tuple[Any, list[TableRead]]], inputs: Mapping[str, Any], dtype: str
) -> dict[str, Any]:
    """Reads every table once.

    Args:
        groups: Each table with the inputs that read it.
        inputs: Ids by input name, `(batch,)` or `(batch, values)`.
        dtype: Type of the vectors.

    Returns:
        Vectors by input name, `(batch, width)`, or `(batch, values, width)` for lists.
    """
    reads = [read for _, some in groups for read in some]
    if not reads:
        return {}
    # All ids at once, so that the number of operators does not grow with the number of features.
    ids = [_joinable(inputs[read.name], read.num_rows) for read in reads]
    widths = [i.shape[1] for i in ids]
    limits = np.repeat([read.num_rows for read in reads], widths)
    offsets = np.repeat([read.offset for read in reads], widths).astype("int32")
    rows = ops.add(rows_within(ops.concatenate(ids, axis=1), limits), offsets)
    vectors, places = {}, np.cumsum([0, *widths]).tolist()
    for table, some in groups:
        bounds = places[: len(some) + 1]
        places = places[len(some) :]
        found = ops.cast(take_rows(table, rows[:, bounds[0] : bounds[-1]]), dtype)
        for read, start, end in zip(some, bounds, bounds[1:]):
            start, end = start - bounds[0], end - bounds[0]
            vectors[read.name] = found[:, start:end] if read.listed else found[:, start]
    return vectors


def _joinable(ids: Any, num_rows: int) -> Any:
    """Returns ids as `(batch, values)` integers, so that concatenation does not change other dtypes."""
    ids = ops.convert_to_tensor(ids)
    if keras.backend.standardize_dtype(ids.dtype) not in ("int32", "int64"):
        ids = rows_within(ids, num_rows)
    return ops.expand_dims(ids, 1) if len(ids.shape) == 1 else ids
