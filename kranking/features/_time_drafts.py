"""Proposed declarations for columns of times."""

import re
from collections.abc import Container

import pyarrow as pa
import pyarrow.compute as pc

from kranking._rows import Origin
from kranking.features._categorical import Categorical
from kranking.features._columns import check_type
from kranking.features._ids import is_string
from kranking.features._instants import time_values
from kranking.features._time_part import TimePart

_PARTS = ("hour", "weekday")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_TIME_WORDS = {"time", "timestamp", "ts", "date", "datetime", "epoch"}
_EPOCHS = {"s": (5e8, 2.2e9), "ms": (5e11, 2.2e12), "us": (5e14, 2.2e15)}  # 1985 to 2039
_DAYS = (19000101, 21001231)  # written as numbers


def draft_times(
    name: str, column: pa.Array, side: str, words: set[str], taken: Container[str]
) -> list[Categorical]:
    """Returns the hour and the weekday of a column of times, those that vary; none for other columns.

    Args:
        name: Name of the column.
        column: Its first rows.
        side: Side of the declarations.
        words: Words of the name: integers are times if it says so and they are of the last decades.
        taken: Names that the declarations must not have.

    Raises:
        ValueError: If neither varies, or dates are written as numbers.
    """
    unit = _unit(column, words)
    of_time = unit or pa.types.is_timestamp(column.type) or pa.types.is_date(column.type)
    if not of_time and not _may_be_times(column):
        return []
    drafts, found = [], False
    for part in _PARTS:
        draft = Categorical(
            _free(f"{name}_{part}", taken), side=side, column=TimePart(name, part, unit=unit)
        )
        values = _values(draft, column)
        found = found or values is not None
        if values is not None and len(pc.unique(values.drop_null())) > 1:  # pyright: ignore
            drafts.append(draft)
    if found and not drafts:
        raise ValueError(f"times ({column.type}) of one hour and weekday")
    return drafts


def _may_be_times(column: pa.Array) -> bool:
    if not is_string(column.type):
        return False
    first = next(iter(column.drop_null()), None)
    return first is not None and _DATE.match(first.as_py()) is not None


def _values(draft: Categorical, column: pa.Array) -> pa.Array | None:
    """Returns the parts of the times; `None` if the values are no times with such a part."""
    try:
        check_type(draft, draft.source, column.type, Origin())
        return time_values(draft, {draft.source: column}, Origin())[0]
    except ValueError:
        return None


def _unit(column: pa.Array, words: set[str]) -> str | None:
    if not pa.types.is_integer(column.type) or not _TIME_WORDS & words:
        return None
    low, high = (float(pc.min_max(column)[key].as_py()) for key in ("min", "max"))  # pyright: ignore
    if _DAYS[0] <= low and high <= _DAYS[1]:
        raise ValueError("a date written as a number, which later rows exceed")
    found = (unit for unit, (a, b) in _EPOCHS.items() if a <= low and high <= b)
    return next(found, None)


def _free(name: str, taken: Container[str]) -> str:
    while name in taken:
        name += "_"
    return name
