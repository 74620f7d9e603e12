"""Rows in memory, of whatever kind, as columns by name."""

import os
import sys
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

ACCEPTED = (
    "a dict of columns, an Arrow table or record batch, a pandas or polars frame, a list of dicts, "
    "paths or URLs of Parquet or CSV files and folders, or a pyarrow.dataset of such files"
)


def columns_in(rows: Any) -> Mapping[str, Any] | None:
    """Returns the columns of rows in memory by name; `None` if the rows are in files.

    The values of the columns are not looked at: `as_arrow` converts those that are read.

    Args:
        rows: A dict of columns; an Arrow table or record batch, or anything with Arrow's protocol of
            streams or arrays, such as a polars frame; a pandas frame, or one with the dataframe
            interchange protocol; a list of dicts, where a missing key is null.

    Raises:
        ValueError: If rows in memory are of another kind, a name is not text, or a column is there twice.
    """
    if isinstance(rows, Mapping):
        return _named(rows, rows.values())
    if isinstance(rows, pa.Table | pa.RecordBatch):
        return _named(rows.column_names, rows.columns)
    if isinstance(rows, list | tuple) and rows and all(isinstance(r, Mapping) for r in rows):
        names = dict.fromkeys(name for row in rows for name in row)
        return _named(names, ([row.get(name) for row in rows] for name in names))
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(rows, pandas.DataFrame):
        # By column, for one that Arrow cannot convert may be one that nobody reads.
        return _named(map(str, rows.columns), (rows.iloc[:, i] for i in range(rows.shape[1])))
    for protocol, table in _PROTOCOLS.items():
        if hasattr(rows, protocol):
            return columns_in(_converted(rows, table))
    return None


def check_names(names: Iterable[Any], where: str) -> None:
    """Raises `ValueError` if a name is not text, or a column is there twice.

    Args:
        names: Names of the columns.
        where: What has these columns, for the message.
    """
    names = list(names)
    other = [name for name in names if not isinstance(name, str)]
    if other:
        raise ValueError(f"Columns must have names that are strings. Received: {other} in {where}")
    twice = sorted({name for name in names if names.count(name) > 1}) if _repeat(names) else []
    if twice:
        raise ValueError(
            f"Columns must have different names. Received: {', '.join(map(repr, twice))} more than once "
            f"in {where}, which has {names}"
        )


def _repeat(names: list[str]) -> bool:
    return len(set(names)) < len(names)


def _named(names: Iterable[Any], columns: Iterable[Any]) -> dict[str, Any]:
    names = list(names)
    check_names(names, "the given columns")
    return dict(zip(names, columns))


def _interchange(rows: Any) -> pa.Table:
    from pyarrow.interchange import from_dataframe

    return from_dataframe(rows)


_PROTOCOLS = {
    "__arrow_c_stream__": pa.table,
    "__arrow_c_array__": pa.table,
    "__dataframe__": _interchange,
}


def _converted(rows: Any, table: Any) -> pa.Table:
    try:
        return table(rows)
    except Exception as error:  # of Arrow or of the library of the frame
        raise ValueError(
            f"Rows must be {ACCEPTED}. Received: a {type(rows).__name__} that Arrow cannot read as a "
            f"table: {error}"
        ) from error


def rows_name(rows: Any) -> str:
    """Returns what to call rows in a report: a path as it is, anything else by its type."""
    return str(rows) if isinstance(rows, str | os.PathLike) else type(rows).__name__


def not_rows(rows: Any) -> ValueError:
    """Returns the error for what is no rows."""
    what = f"{rows!r:.80}" if rows is None or np.isscalar(rows) else f"a {type(rows).__name__}"
    if isinstance(rows, list | tuple):
        kinds = dict.fromkeys(type(row).__name__ for row in rows)
        what = f"a list of {' and '.join(kinds)}" if rows else "an empty list"
    return ValueError(f"Rows must be {ACCEPTED}. Received: {what}")
