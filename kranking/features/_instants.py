"""Times of a log as microseconds since 1970, and what `TimePart` and `Age` compute from them on the host.

64-bit integers hold them exactly, in NumPy as in every graph: floating point never sees a time, only an
age or a part. Fractions of a microsecond are dropped, towards the past.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kranking._rows import Origin
from kranking.features._age import Age
from kranking.features._feature import Feature
from kranking.features._ids import NULL_INTEGER, integer_of, is_string, whole_numbers
from kranking.features._time_part import TimePart
from kranking.features._times import MICROSECONDS, Times

SECOND, HOUR, DAY = 1_000_000, 3_600_000_000, 86_400_000_000
EPOCH = datetime(1970, 1, 1)
EPOCH_UTC = EPOCH.replace(tzinfo=UTC)
# The years that a date in ISO 8601 and Python's datetime can have, so that differences fit as well.
FIRST, LAST = ((t - EPOCH) // timedelta(microseconds=1) for t in (datetime.min, datetime.max))


class Instants(NamedTuple):
    """Times in microseconds since 1970, `NULL_INTEGER` for null.

    Attributes:
        microseconds: int64, of UTC or of the clock of times without a zone.
        zoned: Whether the times have a zone; `None` if all are null.
    """

    microseconds: np.ndarray
    zoned: bool | None


def is_time_type(kind: pa.DataType, times: Times) -> bool:
    """Whether a `TimePart` or `Age` can be computed from values of this type."""
    types = pa.types
    if types.is_date(kind):
        return not times.needs_clock
    if types.is_timestamp(kind) or types.is_null(kind) or is_string(kind):
        return True
    whole = types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind)
    return whole and times.unit is not None


def expected_times(times: Times) -> str:
    """Returns the types that `is_time_type` accepts, for a message."""
    dates = f" (a date has no {times.part})" if isinstance(times, TimePart) else ""
    dates = dates if times.needs_clock else ", dates"
    return f"timestamps{dates}, text in ISO 8601, or integers with a `unit`"


def to_instants(values: pa.Array, times: Times, column: str, origin: Origin) -> Instants:
    """Converts a column of a type that `is_time_type` accepts.

    Raises:
        ValueError: If a value is no time, is outside of the years 1 to 9999, or some times of a column
            have a zone and others do not.
    """
    kind = values.type
    if is_string(kind):
        return _parsed(values, times, column, origin)
    if pa.types.is_timestamp(kind):
        zoned, unit = kind.tz is not None, kind.unit
        values = values.cast(pa.int64())
    elif pa.types.is_date(kind):
        days = pa.types.is_date32(kind)
        zoned, unit = False, "D" if days else "ms"
        values = values.cast(pa.int32()).cast(pa.int64()) if days else values.cast(pa.int64())
    elif pa.types.is_null(kind):
        zoned, unit, values = None, None, pa.nulls(len(values), pa.int64())
    else:
        unit, values = times.unit, whole_numbers(values, column, origin, _no_times)
        zoned = True
    microseconds = _microseconds(values, str(unit), column, origin)
    return Instants(microseconds, None if values.null_count == len(values) else zoned)


def read_instants(
    feature: Feature, columns: Mapping[str, pa.Array], origin: Origin
) -> tuple[dict[str, np.ndarray], bool | None]:
    """Returns the microseconds of each column of times of a feature, and whether they have a zone.

    Raises:
        ValueError: If a column cannot be converted, or its times have a zone and those of the other
            column, or those that the declaration learnt, have none.
    """
    times: Any = feature.times
    found, zoned, like = {}, times.zoned, "like those that were learnt"
    for column in times.columns:
        instants = to_instants(columns[column], times, column, origin)
        found[column] = instants.microseconds
        if zoned is not None and instants.zoned not in (None, zoned):
            kinds = ("times without a time zone", "times with a time zone")
            raise ValueError(
                f"Column {column!r} of feature {feature.name!r} must contain {kinds[zoned]}, {like}. "
                f"Received: {kinds[not zoned]} in {origin.file}. Convert the column: nothing tells which "
                "zone times without one have."
            )
        if zoned is None and instants.zoned is not None:
            zoned, like = instants.zoned, f"like those of {column!r}"
    return found, zoned


def time_values(
    feature: Feature, columns: Mapping[str, pa.Array], origin: Origin
) -> tuple[pa.Array, bool | None]:
    """Returns the parts or ages that a feature reads, and whether the times have a zone."""
    times: Any = feature.times
    instants, zoned = read_instants(feature, columns, origin)
    if isinstance(times, Age):
        start, end = instants[times.column], instants[times.at]
        missing = (start == NULL_INTEGER) | (end == NULL_INTEGER)
        ages = np.where(missing, 0, end) - np.where(missing, 0, start)
        return pa.array(ages / SECOND, pa.float64(), mask=missing), zoned
    return _part(instants[times.column], times.part), zoned


def _part(microseconds: np.ndarray, part: str) -> pa.Array:
    missing = microseconds == NULL_INTEGER
    clock: Any = pa.array(np.where(missing, 0, microseconds), pa.int64()).cast(pa.timestamp("us"))
    compute: Any = pc
    if part == "hour_of_week":
        values = pc.add(pc.multiply(compute.day_of_week(clock), 24), pc.hour(clock))  # pyright: ignore
    elif part == "weekday":
        values = compute.day_of_week(clock)
    else:
        values = getattr(compute, {"day_of_month": "day"}.get(part, part))(clock)
    return pa.array(values.to_numpy(zero_copy_only=False), pa.int64(), mask=missing)


def _microseconds(values: pa.Array, unit: str, column: str, origin: Origin) -> np.ndarray:
    missing = values.is_null().to_numpy(zero_copy_only=False)
    given = values.fill_null(0).to_numpy(zero_copy_only=False)
    if unit == "ns":  # of which 64 bits hold the years 1677 to 2262
        return np.where(missing, NULL_INTEGER, given // 1_000)
    factor = DAY if unit == "D" else MICROSECONDS.get(unit, 1)
    bad = ~missing & ((given < FIRST // factor) | (given > LAST // factor))
    if bad.any():
        row = int(np.argmax(bad))
        names = {"D": "days", "s": "seconds", "ms": "milliseconds"}
        raise ValueError(
            f"Column {column!r} must contain times in the years 1 to 9999. Received: {given[row]} "
            f"{names.get(unit, 'microseconds')} since 1970 in {origin.at(row)}"
        )
    return np.where(missing, NULL_INTEGER, given * factor)


def _no_times(expected: str, received: str, column: str, origin: Origin) -> ValueError:
    return ValueError(
        f"Column {column!r} in {origin.file} must contain times as {expected}. Received: {received}"
    )


def _parsed(values: pa.Array, times: Times, column: str, origin: Origin) -> Instants:
    coded = values.dictionary_encode()
    codes = coded.indices.cast(pa.int64()).to_numpy(zero_copy_only=False)
    found, zones = [NULL_INTEGER], set()
    for code, text in enumerate(coded.dictionary.to_pylist()):
        try:
            microseconds, zoned = _of_text(text, times) if text else (NULL_INTEGER, None)
        except ValueError as error:
            row = int(np.argmax(codes == code))
            raise ValueError(
                f"Column {column!r} must contain times in ISO 8601, such as '2026-01-31T12:30:00Z'. "
                f"Received: {text!r} in {origin.at(row)}: {error}"
            ) from error
        found.append(microseconds)
        zones |= {zoned} - {None}
        if len(zones) > 1:
            raise ValueError(
                f"Column {column!r} must contain times that all have a time zone or all have none. "
                f"Received: both, in {origin.file}, such as {text!r}"
            )
    places = np.where(np.isnan(codes), 0, codes + 1).astype(np.int64)
    return Instants(np.array(found, np.int64)[places], zones.pop() if zones else None)


def _of_text(text: str, times: Times) -> tuple[int, bool]:
    integer = integer_of(text)
    if integer is not None and times.unit is not None:
        array = pa.array([integer])
        return int(_microseconds(array, times.unit, "", Origin())[0]), True
    if integer is not None:
        raise ValueError("of an integer, `unit` must say the unit")
    if text[4:5] + text[7:8] != "--" or text[10:11] not in ("", "T", " "):
        raise ValueError("it is no date, and no date and time with T or a space between them")
    if times.needs_clock and len(text) == 10:
        raise ValueError("it has no time of day")
    time = datetime.fromisoformat(text)
    zoned = time.tzinfo is not None
    microseconds = (time - (EPOCH_UTC if zoned else EPOCH)) // timedelta(microseconds=1)
    if not FIRST <= microseconds <= LAST:  # by its offset
        raise ValueError("it is not in the years 1 to 9999 of UTC")
    return microseconds, zoned
