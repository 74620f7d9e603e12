"""Label rules against a slow reading of each row in fractions, over random rules and columns."""

import random
from datetime import datetime
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest

from kranking.features._rules import Rule
from kranking.features.internal import Origin

pytestmark = pytest.mark.once
ROWS = 12
COMPARE = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
}
NUMBERS = ["0", "1", "4", "3.5", "0.1", "0.7", "0.55", "-2", "1e6", "16777217", "4503599627370497"]
NAMES = ["i", "u", "f", "g", "d"]


def columns(rng):
    small = [0, 1, 4, 7, 10, 55, 100, -2]
    large = [*small, 2**53, 2**53 + 1, 2**62]
    tenths = [0.1, 0.7, 0.55, 2.4, 3.0, 3.5, 4.0, 10.0, -0.2, 1e6, 0.0, -0.0, float("nan"), 1e-320]
    values = {
        "i": [rng.choice([*large, None]) for _ in range(ROWS)],
        "u": [rng.choice([v for v in large if v >= 0]) for _ in range(ROWS)],
        "f": [rng.choice([*tenths, None]) for _ in range(ROWS)],
        "g": [rng.choice([*tenths, 16777216.0, None]) for _ in range(ROWS)],
        "d": [
            rng.choice([Decimal("0.70"), Decimal("4.01"), Decimal(4), None]) for _ in range(ROWS)
        ],
    }
    kinds = [pa.int64(), pa.uint64(), pa.float64(), pa.float32(), pa.decimal128(9, 2)]
    return {n: pa.array(v, kind) for (n, v), kind in zip(values.items(), kinds)}


def exact(column, row):
    """The number that a value stands for: `None` for null and NaN."""
    value = column[row].as_py()
    if value is None or value != value:
        return None
    if not isinstance(value, float):
        return Fraction(value)
    return Fraction(str(np.float32(value)) if column.type == pa.float32() else repr(value))


def form(rng):
    """A random sum as text, and its terms (factor, column or None)."""
    kind, number, name = rng.randrange(6), rng.choice(NUMBERS), rng.choice(NAMES)
    other = rng.choice(NAMES)
    return [
        (number, [(number, None)]),
        (name, [("1", name)]),
        (name, [("1", name)]),
        (f"{number} * {name}", [(number, name)]),
        (f"({name} - {other})", [("1", name), ("-1", other)]),
        (f"{name} + {number}", [("1", name), (number, None)]),
    ][kind]


def total(terms, row, given):
    parts = [(Fraction(f), 1 if name is None else exact(given[name], row)) for f, name in terms]
    return None if any(value is None for _, value in parts) else sum(f * v for f, v in parts)


def other_columns(rng):
    moments = [
        datetime(2026, 1, 31),
        datetime(2026, 1, 31, 12, 0, 0, 500_000),
        datetime(1969, 12, 31),
    ]
    kind = rng.choice([pa.timestamp("us"), pa.timestamp("ns"), pa.date32(), pa.string()])
    times = [rng.choice([*moments, None]) for _ in range(ROWS)]
    stamps = times
    if kind == pa.date32():
        times = [time and datetime(time.year, time.month, time.day) for time in times]
        stamps = [time and time.date() for time in times]
    if kind == pa.string():
        stamps = [time and time.isoformat(sep=rng.choice(" T")) for time in times]
    texts = [rng.choice(["like", "hide", "", None]) for _ in range(ROWS)]
    flags = [rng.choice([True, False, None]) for _ in range(ROWS)]
    plain = {"t": times, "s": texts, "b": flags}
    coded = pa.array(texts).dictionary_encode().dictionary_decode()
    return plain, {"t": pa.array(stamps, kind), "s": coded, "b": pa.array(flags)}


def other_condition(rng):
    """A random condition on texts, booleans, times or nulls, and its value of a plain row."""
    operator, moment = (
        rng.choice(list(COMPARE)),
        rng.choice(["2026-01-31", "2026-01-31 12:00:00.5"]),
    )
    time, text = datetime.fromisoformat(moment), rng.choice(["like", "hide", ""])
    name = rng.choice("tsb")
    cases = [
        (f"t {operator} '{moment}'", lambda row: COMPARE[operator](row["t"], time), "t"),
        (f"'{moment}' <= t", lambda row: time <= row["t"], "t"),
        (
            f"t in ('{moment}', '1969-12-31')",
            lambda row: row["t"] in (time, datetime(1969, 12, 31)),
            "t",
        ),
        (f"s != '{text}'", lambda row: row["s"] != text, "s"),
        (f"s not in ('x', '{text}')", lambda row: row["s"] not in ("x", text), "s"),
        ("b", lambda row: row["b"], "b"),
        ("b == false", lambda row: not row["b"], "b"),
        (f"{name} is null", lambda row: row[name] is None, None),
        (f"{name} is not null", lambda row: row[name] is not None, None),
    ]
    rule, value, column = rng.choice(cases)
    return rule, lambda row, _: None if column and row[column] is None else value(row)


def condition(rng, depth, of=None):
    """A random condition as text, and its value in a row of columns."""
    if depth and rng.random() < 0.6:
        one, first = condition(rng, depth - 1, of)
        other, second = condition(rng, depth - 1, of)
        joined = rng.choice(["and", "or"])
        rank = {
            False: 0,
            None: 1,
            True: 2,
        }  # Kleene's logic: the least and the greatest of three values
        choose = min if joined == "and" else max
        text, value = (
            f"({one} {joined} {other})",
            lambda *a: choose(first(*a), second(*a), key=rank.get),
        )
        if rng.random() < 0.3:
            return f"not {text}", lambda *a: None if value(*a) is None else not value(*a)
        return text, value
    if of is not None:
        return of(rng)
    (left, terms), operator = form(rng), rng.choice(list(COMPARE))
    while not any(name for _, name in terms):
        left, terms = form(rng)
    right, others = form(rng)

    def compared(row, given):
        one, other = total(terms, row, given), total(others, row, given)
        return None if one is None or other is None else COMPARE[operator](one, other)

    return f"{left} {operator} {right}", compared


@pytest.mark.parametrize("seed", range(20))
def test_every_row_is_what_fractions_say(seed):
    rng, evaluated = random.Random(seed), 0
    for _ in range(50):
        given, (text, value) = columns(rng), condition(rng, 2)
        try:
            rule = Rule(text)
        except ValueError:  # a column cancels out
            continue
        evaluated += 1
        expected = [value(row, given) for row in range(ROWS)]
        read = {name: given[name] for name in rule.columns}
        assert rule(read, "x", Origin()).to_pylist() == expected, text
    assert evaluated > 25


@pytest.mark.parametrize("seed", range(10))
def test_every_row_of_texts_times_booleans_and_nulls(seed):
    rng = random.Random(seed)
    for _ in range(50):
        (plain, given), (text, value) = other_columns(rng), condition(rng, 3, other_condition)
        rows = [{name: values[row] for name, values in plain.items()} for row in range(ROWS)]
        rule = Rule(text)
        read = {name: given[name] for name in rule.columns}
        assert rule(read, "x", Origin()).to_pylist() == [value(row, None) for row in rows], text
