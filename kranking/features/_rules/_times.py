"""Times in label rules, as exact numbers since 1970."""

import re
from datetime import UTC, datetime
from fractions import Fraction

import numpy as np
import pyarrow as pa

from kranking._rows import Origin

_UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
EXPECTED = {
    False: "times such as '2026-01-31 12:00:00'",
    True: "times such as '2026-01-31T12:00:00Z', with their offset from UTC",
}
_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[ T](\d\d:\d\d(?::\d\d)?)(?:(?<=:\d\d:\d\d)\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)?)?"
)


def is_time(kind: pa.DataType) -> bool:
    """Whether values of a type are points in time."""
    return pa.types.is_timestamp(kind) or pa.types.is_date(kind)


def looks_like_time(text: str) -> bool:
    """Whether a text has the form of a date or of a time of ISO 8601."""
    return _TIME.fullmatch(text) is not None


def time_of(text: str, zoned: bool) -> Fraction | None:
    """Returns the seconds since 1970 that a text denotes, `None` if it denotes no time.

    Args:
        text: Such as `"2026-01-31"`, `"2026-01-31 12:00:00.5"` or `"2026-01-31T12:00Z"`.
        zoned: Whether the text must state an offset from UTC; otherwise it must state none.

    >>> time_of("1970-01-02", False), time_of("1970-01-02", True), time_of("1970-01-01T01:00+01:00", True)
    (Fraction(86400, 1), None, Fraction(0, 1))
    """
    found = _TIME.fullmatch(text)
    if found is None or bool(found[4]) != zoned:
        return None
    day, time, digits, zone = found.groups()
    try:
        moment = datetime.fromisoformat(f"{day}T{time or '00:00'}{zone or '+00:00'}")
    except ValueError:  # the 31st of June
        return None
    passed = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return passed.days * 86_400 + passed.seconds + Fraction(f"0.{digits or 0}")


def ticks(array: pa.Array) -> tuple[pa.Array, Fraction]:
    """Returns timestamps or dates as integers, and the length of their unit in seconds."""
    kind = array.type
    if pa.types.is_timestamp(kind):
        return array.cast(pa.int64()), Fraction(1, _UNITS[kind.unit])
    if pa.types.is_date32(kind):
        return array.cast(pa.int32()), Fraction(86_400)
    return array.cast(pa.int64()), Fraction(1, 1000)


def ticks_of_texts(
    array: pa.Array, zoned: bool, what: str, origin: Origin
) -> tuple[pa.Array, Fraction]:
    """Returns what `ticks` does, of texts.

    Args:
        array: Texts.
        zoned: As for `time_of`.
        what: Who reads which column, for the message.
        origin: Origin of the rows, for the message.

    Raises:
        ValueError: If a text is no time.
    """
    coded = array.dictionary_encode()
    times = []
    for code, text in enumerate(coded.dictionary.to_pylist()):
        time = time_of(text, zoned)
        if time is None:
            row = int(np.argmax(coded.indices.to_numpy(zero_copy_only=False) == code))
            raise ValueError(
                f"{what} as times. Expected: {EXPECTED[zoned]}. Received: {text!r} in {origin.at(row)}"
            )
        times.append(int(time * 10**9))
    known = pa.array(times, pa.decimal128(30, 0))  # nanoseconds of years far from 1970
    return known.take(coded.indices), Fraction(1, 10**9)
