"""Columns of a log as Arrow arrays: type checks, parts of lists, and errors that name file and row."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kranking._rows import Origin, plain_type
from kranking.features._categorical import Categorical
from kranking.features._embedding import Embedding
from kranking.features._event_times import is_event_time
from kranking.features._feature import Feature
from kranking.features._ids import is_id, is_string
from kranking.features._instants import expected_times, is_time_type, time_values
from kranking.features._numbers import is_number
from kranking.features._numbers import numbers as numbers
from kranking.features._sequence import Sequence

FLOAT32_MAX = float(np.finfo(np.float32).max)
BOUND = 2.0**63  # of a model input: its square and sums of squares are finite in float32
FLOAT64_MAX = float(np.finfo(np.float64).max)


def require(feature: Feature, column: str, columns: Iterable[str], origin: Origin) -> None:
    """Raises `ValueError` if a column that a feature reads is missing."""
    if column not in columns:
        raise ValueError(
            f"Feature {feature.name!r} needs column {column!r}, which is missing in {origin.file}. "
            f"Received: {sorted(columns)}"
        )


def check_lengths(columns: Mapping[str, Any]) -> int:
    """Returns the number of rows; raises `ValueError` unless all columns have the same length."""
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"Columns must have equal lengths. Received: {lengths}")
    return next(iter(lengths.values()), 0)


def is_list(kind: pa.DataType) -> bool:
    """Whether the values are lists."""
    return (
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )


def check_type(feature: Feature, column: str, kind: pa.DataType, origin: Origin) -> None:
    """Raises `ValueError` unless the type of a column is suitable for a feature."""
    expected, good = _expectation(feature, column)
    if not pa.types.is_null(kind) and not good(plain_type(kind)):
        raise ValueError(
            f"Column {column!r} of feature {feature.name!r} has a wrong type in {origin.file}. "
            f"Expected: {expected}. Received: {kind}{_way_out(feature, column, kind)}"
        )


def typed_nulls(feature: Feature, column: str, array: pa.Array) -> pa.Array:
    """Returns a column in which every value is null in the form that a feature reads: text or lists.

    Of such a column, as of a request of one row, Arrow cannot tell the type.
    """
    if not pa.types.is_null(array.type) or feature.times is not None:
        return array
    if isinstance(feature, Categorical):
        if feature.separator is not None:
            return array.cast(pa.string())
        return pa.nulls(len(array), pa.list_(pa.null())) if feature.multivalued else array
    of_lists = isinstance(feature, Embedding) or (
        isinstance(feature, Sequence) and column != feature.request_time
    )
    return pa.nulls(len(array), pa.list_(pa.null())) if of_lists else array


def values_of(
    feature: Feature, columns: Mapping[str, pa.Array], origin: Origin
) -> dict[str, pa.Array]:
    """Returns the columns that a feature reads, with what it computes from times in place of these."""
    own = {name: typed_nulls(feature, name, columns[name]) for name in feature.columns}
    if feature.times is None:
        return own
    return {feature.source: time_values(feature, own, origin)[0]}


def bounded(values: np.ndarray) -> np.ndarray:
    """Converts numbers of a log after their transform to float32, at most ±`BOUND`."""
    return np.clip(values, -BOUND, BOUND).astype(np.float32)


def _way_out(feature: Feature, column: str, kind: pa.DataType) -> str:
    """Returns what to do about a type that requests do not have."""
    types = pa.types
    if types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind):
        return ". Cast bytes to text, such as their hexadecimal digits"
    if types.is_temporal(kind):
        if (
            feature.takes
            and feature.times is None
            and (types.is_timestamp(kind) or types.is_date(kind))
        ):
            return f". Declare `column=TimePart({column!r}, 'weekday')` or another part, or cast to text"
        return ". Cast times to text, timestamps or integers"
    return ""


def _expectation(feature: Feature, column: str) -> tuple[str, Any]:
    times = feature.times
    if times is not None:
        return expected_times(times), lambda k: is_time_type(k, times)
    if isinstance(feature, Categorical):
        if feature.separator is not None:
            return "strings", is_string
        if feature.multivalued:
            return "lists of strings or integers", lambda k: is_list(k) and is_id(k.value_type)
        return "strings or integers", is_id
    if isinstance(feature, Embedding):
        return "lists of numbers", lambda k: is_list(k) and is_number(k.value_type)
    if isinstance(feature, Sequence):
        if column == feature.request_time:
            return "times", is_event_time
        if column == feature.time:
            return "lists of times", lambda k: is_list(k) and is_event_time(k.value_type)
        return "lists of strings or integers", lambda k: is_list(k) and is_id(k.value_type)
    return "numbers", is_number


def check_widths(feature: Embedding, array: pa.Array, lengths: np.ndarray, origin: Origin) -> None:
    """Raises `ValueError` unless all vectors, except null, have the width of the feature."""
    wrong = (lengths != feature.dim) & array.is_valid().to_numpy(zero_copy_only=False)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ValueError(
            f"Feature {feature.name!r} needs vectors of width {feature.dim} in column "
            f"{feature.source!r}. Received: width {lengths[row]} in {origin.at(row)}"
        )


def check_parallel(
    feature: Sequence, column: str, lengths: np.ndarray, own: np.ndarray, origin: Origin
) -> None:
    """Raises `ValueError` unless the lists of a column are as long as the ids of the sequence."""
    if not np.array_equal(own, lengths):
        row = int(np.argmax(own != lengths))
        raise ValueError(
            f"Column {column!r} of sequence {feature.name!r} must contain lists as long as those of "
            f"{feature.source!r}. Expected: {lengths[row]} values. "
            f"Received: {own[row]} in {origin.at(row)}"
        )


def list_parts(array: pa.Array) -> tuple[pa.Array, np.ndarray]:
    """Returns the concatenated values of all lists, and the length of each list (0 for null)."""
    lengths = pc.list_value_length(array)  # pyright: ignore
    return array.flatten(), pc.fill_null(lengths, 0).to_numpy(zero_copy_only=False).astype(np.int64)


def split_strings(array: pa.Array, separator: str) -> pa.Array:
    """Splits each string; null and "" become empty lists."""
    lists = pc.split_pattern(array, separator)  # pyright: ignore
    empty = pc.fill_null(pc.equal(array, ""), True)  # pyright: ignore
    return pc.if_else(empty, pa.scalar([], lists.type), lists)  # pyright: ignore


def pad_positions(
    lengths: np.ndarray, width: int, *, newest_last: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Returns, for each row and place, the position in the flat values, and whether it exists.

    With `newest_last`, rows are read from the end, so that place 0 is the newest event.
    """
    starts = np.cumsum(lengths) - lengths
    places = np.arange(width)
    forward = starts[:, None] + places
    positions = (starts + lengths)[:, None] - 1 - places if newest_last else forward
    return positions, places < lengths[:, None]


def pad(flat: np.ndarray, positions: np.ndarray, valid: np.ndarray, fill: Any) -> np.ndarray:
    """Arranges flat values in a matrix, with `fill` where there is no value."""
    out = np.full(valid.shape, fill, flat.dtype)
    out[valid] = flat[positions[valid]]
    return out
