"""Label rules against a slow reading of each row in fractions, over random rules and columns."""

import random
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


def condition(rng, depth):
    """A random condition as text, and its value in a row of columns."""
    if depth and rng.random() < 0.6:
        (one, first), (other, second) = condition(rng, depth - 1), condition(rng, depth - 1)
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
