"""Calls on columns of times: parts and ages, as Python's `datetime` has them."""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

import kranking as kr
from fuzzing.draw import Draw
from fuzzing.encode import joined
from fuzzing.judge import Call
from fuzzing.older import read_rows

EPOCH = datetime(1970, 1, 1)
MICROSECOND = timedelta(microseconds=1)
PER_UNIT = {"s": 10**6, "ms": 10**3, "us": 1}
PARTS: dict[str, Callable[[datetime], int]] = {
    "hour": lambda t: t.hour,
    "weekday": lambda t: t.weekday(),
    "hour_of_week": lambda t: 24 * t.weekday() + t.hour,
    "day_of_month": lambda t: t.day,
    "month": lambda t: t.month,
}
FIRST_VALUE = {"day_of_month": 1, "month": 1}
ZONED = ("aware", "text of a zone", "Arrow of a zone", "whole", "float", "digits")
CLOCK = ("datetime", "text", "Arrow", "datetime64", "dates", "text of dates")
DAMAGES = ("zone", "no unit", "word", "fraction", "far", "bool")


def times_call(draw: Draw) -> Call:
    """Parts of times and ages, of rows in memory or in a file."""
    zoned, unit = draw.chance(0.5), draw.pick(("s", "ms", "us"))
    age, rows = draw.chance(0.4), draw.whole(1, 6)
    part = draw.pick(tuple(PARTS))
    forms = [draw.pick(ZONED if zoned else CLOCK) for _ in range(2)]
    if not age and part.startswith("hour"):
        forms = ["text" if "dates" in form else form for form in forms]
    columns: dict[str, Any] = {}
    times: list[list[datetime | None]] = []
    for name, form in zip(("t", "at"), forms):
        drawn = [_instant(draw, form, unit) for _ in range(rows)]
        times.append(drawn)
        columns[name] = column_of(draw, form, unit, drawn)
    if age:
        column = kr.features.Age("t", at="at", unit=unit, zoned=zoned)
    else:
        column = kr.features.TimePart("t", part, unit=unit, zoned=zoned)
    damage = draw.pick(DAMAGES) if draw.chance(0.25) else "none"
    if damage != "none":
        columns["t"], column = _damaged(draw, damage, zoned, columns["t"], column)
    feature = _declaration(draw, column, age)
    ways = ("Preprocessor", "read", "fit", "parquet", "csv", "dicts")
    # A Python datetime has no year 60,000, and Arrow writes 1.5e11 for a large float.
    way = draw.pick(ways[:4] if damage == "far" or "float" in forms else ways)
    given = _given(way, columns)
    return Call(
        f"times, {way}",
        "parts and ages of times",
        f"{damage}: {feature} of {forms}, {str(columns)[:300]}",
        lambda: _encoded(way, feature, given),
        lambda found: _difference(found, feature, part, times),
        "never" if damage == "none" else "must",
        ("'t'", "'at'"),
    )


def _instant(draw: Draw, form: str, unit: str) -> datetime | None:
    """Draws a time that a form can hold, or null."""
    if draw.chance(0.15):
        return None
    day = draw.pick((0, -1, 11_016, 20_000, draw.whole(-719_000, 2_900_000), draw.whole(-99, 99)))
    inside = draw.pick((0, 1, 86_399_999_999, draw.whole(0, 86_400_000_000)))
    if form == "float" and unit == "us":
        day = max(min(day, 99_999), -99_999)  # floating point holds integers up to 2^53
    microseconds = 86_400_000_000 * day + inside
    if "dates" in form:
        microseconds -= inside
    if form in ("whole", "float", "digits", "datetime64"):
        microseconds -= microseconds % PER_UNIT[unit]
    return EPOCH + microseconds * MICROSECOND


def column_of(draw: Draw, form: str, unit: str, times: list[datetime | None]) -> Any:
    """Returns times in one form, those with a zone as instants of UTC."""
    zone = timezone(timedelta(minutes=draw.pick((0, 60, -570, 345))))
    count = [None if t is None else (t - EPOCH) // MICROSECOND for t in times]
    match form:
        case "datetime64":
            raw = [-(2**63) if n is None else n // PER_UNIT[unit] for n in count]
            return np.array(raw, "int64").view(f"datetime64[{unit}]")
        case "Arrow":
            return pa.array(times, pa.timestamp("us"))
        case "Arrow of a zone":
            return pa.array(count, pa.int64()).cast(pa.timestamp("us", "+05:45"))
        case "whole" | "float" | "digits":
            kind = {"whole": int, "float": float, "digits": str}[form]
            return [None if n is None else kind(n // PER_UNIT[unit]) for n in count]

    def made(time: datetime) -> Any:
        local = time.replace(tzinfo=UTC).astimezone(zone)
        forms = {
            "datetime": time,
            "aware": local,
            "dates": time.date(),
            "text of dates": time.date().isoformat(),
            "text of a zone": local.isoformat(),
            "text": time.isoformat(draw.pick(" T")),
        }
        return forms[form]

    return [None if t is None else made(t) for t in times]


def _damaged(draw: Draw, damage: str, zoned: bool, values: Any, column: Any) -> tuple[Any, Any]:
    rows = len(values)
    match damage:
        case "zone":
            odd = EPOCH if zoned else draw.pick((EPOCH.replace(tzinfo=UTC), 5, "5"))
            return [odd] * rows, column
        case "no unit":
            return [draw.pick((5, 1_700_000_000, "5"))] * rows, replace(column, unit=None)
        case "word":
            words = (
                "noon",
                "2026-02-30",
                "10:00",
                "2026-01-01T24:61",
                " 2026-01-01",
                "٢٠٢٦-01-01",
            )
            return [draw.pick(words)] * rows, column
        case "fraction":
            return [draw.pick((0.5, -1e300, float("inf")))] * rows, column
        case "far":
            return pa.array([draw.pick((2**61, -(2**61)))] * rows, pa.timestamp("us")), column
    return [True] * rows, column


def _declaration(draw: Draw, column: Any, age: bool) -> Any:
    if not age and draw.chance(0.7):
        return kr.features.Categorical("f", column=column)
    return kr.features.Numeric("f", column=column, transform="none", nulls=-1.0)


def _given(way: str, columns: dict[str, Any]) -> Any:
    if way == "dicts":
        plain = {
            n: v.to_pylist() if isinstance(v, pa.Array) else list(v) for n, v in columns.items()
        }
        return [dict(zip(plain, row)) for row in zip(*plain.values())]
    if way not in ("parquet", "csv"):
        return columns
    table = pa.table(
        {**{n: pa.array(v) for n, v in columns.items()}, "n": range(len(columns["t"]))}
    )
    path = f"{tempfile.mkdtemp(prefix='fuzz')}/log.{way}"
    if way == "csv":
        pacsv.write_csv(table, path)
    else:
        pq.write_table(table, path)
    return path


def _encoded(way: str, feature: Any, given: Any) -> np.ndarray:
    if way == "fit":
        (feature,) = kr.features.fit([feature], given)
    if way == "read":
        return joined(read_rows(given, [feature], (), batch_size=2, labels=False))["f"]
    return kr.features.Preprocessor([feature])(given)["f"]


def _difference(found: np.ndarray, feature: Any, part: str, times: list[list]) -> str | None:
    for row, (time, at) in enumerate(zip(*times)):
        if isinstance(feature.column, kr.features.Age):
            known = time is not None and at is not None
            right = np.float32(float((at - time) // MICROSECOND) / 1e6) if known else -1
        elif isinstance(feature, kr.features.Numeric):
            right = -1 if time is None else PARTS[part](time)
        else:
            right = 0 if time is None else 1 + PARTS[part](time) - FIRST_VALUE.get(part, 0)
        if found[row] != right:
            return f"row {row}: {found[row]}, right is {right}"
    return None if len(found) == len(times[0]) else f"{len(found)} rows of {len(times[0])}"
