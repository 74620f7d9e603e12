"""A column in memory as an Arrow array."""

import itertools
import sys
from collections.abc import Iterable, Iterator, Mapping, MappingView, Sequence, Set
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa

from kranking._rows._plain import plain


def as_arrow(column: Any, name: str = "") -> pa.Array:
    """Converts a column to an Arrow array of a plain type.

    Accepts NumPy arrays, lists, tuples and ranges, Arrow arrays, pandas and polars series, and anything
    with Arrow's or NumPy's protocol of arrays. NaN in an array of objects becomes null.

    Args:
        column: The column.
        name: Its name, for the message.

    Raises:
        ValueError: If the column is none of these, or has values of several types.
    """
    try:
        return plain(_array(column))
    except Exception as error:  # of Arrow, NumPy, or the library of the column
        raise ValueError(
            f"Column {name!r} must contain one value per row, all of the same type, as an array or a "
            f"list. Received: {error}"
        ) from error


def _array(column: Any) -> pa.Array:
    if isinstance(column, pa.Array):
        return column
    if isinstance(column, np.ndarray):
        return _from_numpy(column)
    if isinstance(column, list | tuple | range):
        return _of_one_kind(_from_list(column), column)
    if _is_pandas(column):  # before Arrow's protocol, which keeps NaN apart from null
        if column.dtype == object:
            _check_values(column)
        whole = _whole(pa.array(column))
        return _of_one_kind(whole, column) if column.dtype == object else whole
    if hasattr(column, "__arrow_c_stream__"):
        return _whole(pa.chunked_array(column))
    if hasattr(column, "__arrow_c_array__") or hasattr(column, "__arrow_array__"):
        return _whole(pa.array(column))
    if hasattr(column, "__array__") and not isinstance(column, Mapping | np.generic):
        return _from_numpy(np.asarray(column))
    # Arrow would iterate over the letters of a text, and empty a generator that is read twice.
    raise TypeError(f"{column!r:.100}")


def _from_numpy(values: np.ndarray) -> pa.Array:
    if not values.dtype.isnative:
        values = values.astype(values.dtype.newbyteorder("="))
    if values.dtype.kind == "M":
        unit, steps = np.datetime_data(values.dtype)
        if steps > 1:  # Arrow takes steps of 10 seconds for seconds
            values = values.astype(f"datetime64[{unit}]")
        if unit in ("h", "m"):
            values = values.astype("datetime64[s]")
    if values.ndim == 2 and not values.shape[1]:
        offsets = pa.array(np.zeros(len(values) + 1, np.int32))
        return pa.ListArray.from_arrays(offsets, _from_numpy(values.ravel()))
    if values.ndim == 2:
        return pa.FixedSizeListArray.from_arrays(_from_numpy(values.ravel()), values.shape[1])
    if values.dtype != object:
        return _whole(pa.array(values))
    _check_values(values)
    return _of_one_kind(_whole(pa.array(values, from_pandas=True)), values)


def _from_list(values: Sequence[Any]) -> pa.Array:
    _check_values(values)
    try:
        return pa.array(values)
    except ValueError:  # of pandas's NaT, which is null
        return pa.array(values, from_pandas=True)


def _check_values(values: Iterable[Any]) -> None:
    """Raises `TypeError` for values that Arrow would take in an order, or a unit, that they do not have."""
    for kind in set(map(type, values)):
        if issubclass(kind, Set | MappingView | Iterator):
            raise TypeError(
                f"a {kind.__name__} as the value of a row. Make a list of it, with sorted() if it has no "
                "order"
            )
        if issubclass(kind, np.datetime64 | np.timedelta64):
            steps = {np.datetime_data(value.dtype) for value in values if isinstance(value, kind)}
            if any(count > 1 for _, count in steps):
                raise TypeError(f"times in steps of several units: {sorted(steps)}")


def _of_one_kind(array: pa.Array, values: Iterable[Any]) -> pa.Array:
    """Returns `array`; raises `TypeError` if its times were of several kinds.

    Of a date and a time of day Arrow makes two dates, and times without a zone become those of UTC.
    """
    kind = array.type
    if pa.types.is_list(kind):
        kind = kind.value_type
        values = itertools.chain.from_iterable(v for v in values if isinstance(v, Iterable))
    if pa.types.is_temporal(kind):
        kinds = dict.fromkeys(_kind_of_time(value) for value in values if value is not None)
        kinds.pop("", None)
        if len(kinds) > 1:
            raise TypeError(" and ".join(kinds))
    return array


def _kind_of_time(value: Any) -> str:
    if value != value:  # NaN and pandas's and NumPy's NaT are null
        return ""
    if isinstance(value, datetime):
        return f"datetime {'without' if value.tzinfo is None else 'with'} a time zone"
    return type(value).__name__


def _whole(array: pa.Array | pa.ChunkedArray) -> pa.Array:
    if isinstance(array, pa.Array):
        return array
    if array.num_chunks == 1:
        return array.chunk(0)
    whole = array.combine_chunks()
    if isinstance(whole, pa.ChunkedArray):  # more text than offsets of 32 bits reach
        raise ValueError(f"{array.nbytes:,} bytes in one column; use 64-bit offsets: large_string")
    return whole


def _is_pandas(column: Any) -> bool:
    pandas = sys.modules.get("pandas")
    if pandas is None:
        return False
    return isinstance(column, pandas.Series | pandas.Index | pandas.api.extensions.ExtensionArray)
