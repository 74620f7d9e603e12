"""Parts and ages of times in a graph, in 64-bit integers: the arithmetic of `_instants` for tensors."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from kranking.features._age import Age
from kranking.features._ids import NULL_INTEGER
from kranking.features._instants import DAY, FIRST, HOUR, LAST, SECOND
from kranking.features._numeric import Numeric

_THURSDAY = 3  # weekday of 1970-01-01
_WEEK = 7 * DAY
_ERA = 146_097  # days of 400 years, after which the calendar repeats
_TO_MARCH = (
    719_468  # days from 0000-03-01, so that a leap day is the last of its year, to 1970-01-01
)


def graph_times(ops: Any, raw: Any, tensors: Mapping[str, Any]) -> dict[str, Any]:
    """Computes the values of the features of times, by feature name.

    Parts are int64 with `NULL_INTEGER` for null; ages and the parts that a `Numeric` reads are float64 with
    NaN for null. Integers that are no time of the years 1 to 9999 are null.

    Args:
        ops: Operations of the graph, as for `encode_raw`.
        raw: The `RawColumns`.
        tensors: Tensors by name, as in `raw.inputs`.
    """
    features: Any = [f for f in raw.features if f.times is not None]
    names = dict.fromkeys(name for f in features for name in raw.names[f.name].values())
    known = {name: _known(ops, tensors[name]) for name in names}
    made = {}
    for feature in features:
        missing, start = known[raw.names[feature.name]["value"]]
        if isinstance(feature.times, Age):
            unknown, end = known[raw.names[feature.name]["at"]]
            missing = ops.logical_or(missing, unknown)
            # Cast after the difference: no float holds a time exactly.
            age = ops.divide(ops.cast(ops.subtract(end, start), "float64"), np.float64(SECOND))
            made[feature.name] = _or_nan(ops, missing, age)
            continue
        part = _PARTS[feature.times.part](ops, start)
        if isinstance(feature, Numeric):
            made[feature.name] = _or_nan(ops, missing, ops.cast(part, "float64"))
        else:
            made[feature.name] = ops.where(missing, np.int64(NULL_INTEGER), part)
    return made


def _known(ops: Any, microseconds: Any) -> tuple[Any, Any]:
    """Returns where there is no time, and the times with 0 in these places."""
    before = ops.less(microseconds, np.int64(FIRST))
    missing = ops.logical_or(before, ops.less(np.int64(LAST), microseconds))
    return missing, ops.where(missing, np.int64(0), microseconds)


def _or_nan(ops: Any, missing: Any, values: Any) -> Any:
    return ops.where(missing, np.float64(np.nan), values)


def _floor(ops: Any, x: Any, divisor: int) -> Any:
    """Computes the floor of a quotient: graphs truncate, which is equal for multiples only."""
    rest = ops.floor_mod(x, np.int64(divisor))
    return ops.divide(ops.subtract(x, rest), np.int64(divisor))


def _hour(ops: Any, time: Any) -> Any:
    return ops.divide(ops.floor_mod(time, np.int64(DAY)), np.int64(HOUR))


def _hour_of_week(ops: Any, time: Any) -> Any:
    from_monday = ops.add(time, np.int64(_THURSDAY * DAY))
    return ops.divide(ops.floor_mod(from_monday, np.int64(_WEEK)), np.int64(HOUR))


def _weekday(ops: Any, time: Any) -> Any:
    return ops.divide(_hour_of_week(ops, time), np.int64(24))


def _day_of_year(ops: Any, time: Any) -> Any:
    """Computes the day in the year that begins on 1 March."""
    day = ops.floor_mod(ops.add(_floor(ops, time, DAY), np.int64(_TO_MARCH)), np.int64(_ERA))
    leap = _quotients(ops, day, {1_460: -1, 36_524: 1, 146_096: -1})
    year = ops.divide(ops.add(day, leap), np.int64(365))
    before = ops.add(ops.multiply(year, np.int64(365)), _quotients(ops, year, {4: 1, 100: -1}))
    return ops.subtract(day, before)


def _quotients(ops: Any, x: Any, signs: Mapping[int, int]) -> Any:
    """Computes the signed sum of the whole quotients of numbers that are not negative."""
    total = None
    for divisor, sign in signs.items():
        term = ops.multiply(ops.divide(x, np.int64(divisor)), np.int64(sign))
        total = term if total is None else ops.add(total, term)
    return total


def _from_march(ops: Any, day: Any) -> Any:
    # From March on, 153 days are five months.
    return ops.divide(ops.add(ops.multiply(day, np.int64(5)), np.int64(2)), np.int64(153))


def _month(ops: Any, time: Any) -> Any:
    month = ops.add(_from_march(ops, _day_of_year(ops, time)), np.int64(2))
    return ops.add(ops.floor_mod(month, np.int64(12)), np.int64(1))


def _day_of_month(ops: Any, time: Any) -> Any:
    day = _day_of_year(ops, time)
    month = ops.multiply(_from_march(ops, day), np.int64(153))
    first = ops.divide(ops.add(month, np.int64(2)), np.int64(5))
    return ops.add(ops.subtract(day, first), np.int64(1))


_PARTS = {
    "hour": _hour,
    "weekday": _weekday,
    "hour_of_week": _hour_of_week,
    "day_of_month": _day_of_month,
    "month": _month,
}
