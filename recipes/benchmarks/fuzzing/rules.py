"""Labels by rule, of rows in memory and in files, against a reading of each row in fractions."""

import tempfile
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

import kranking as kr
from fuzzing import containers, files
from fuzzing.draw import Draw
from fuzzing.judge import Call, NotThereError
from fuzzing.older import read_rows

Row = dict[str, Any]
Condition = tuple[str, Callable[[Row], bool | None]]
COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
}
# Halves are the same number in every floating type that a container may choose.
VALUES: dict[str, tuple] = {
    "stars": (1, 2, 3, 4, 5),
    "seconds": (0.0, 0.5, 4.0, 8.0, 12.0, 55.0),
    "length": (5, 10, 15, 100),
    "event": ("like", "hide", "save", "it is"),
    "liked": (True, False),
    "of day": ("2026-01-30", "2026-01-31 12:00:00", "2026-02-01T00:00"),
}
NUMBERS = ("stars", "seconds", "length")
LITERALS = ("4", "3.5", "0.8", "0.55", "12", "1e1", "-1")
BROKEN = (
    "stars => 4",
    "stars = 4",
    "stars >= 4 & liked",
    "event > 4",
    "length == true",
    "liked >= 1",
    "seconds / length > 0.8",
    "stars * length > 4",
    "abs(stars) > 1",
    "event >= 'm'",
    "event > '2026-01-31'",
    "missing > 4",
    "not " * 400 + "liked",
    "'",
)


def rule_call(draw: Draw) -> Call:
    """Labels by rule of rows that a reader reads."""
    rows, broken = draw.whole(1, 7), draw.chance(0.15)
    share = draw.pick((0.0, 0.25))
    columns: dict[str, list] = {
        name: [None if draw.chance(share) else draw.pick(some) for _ in range(rows)]
        for name, some in VALUES.items()
    }
    for name, values in columns.items():  # of a column of nulls, no container tells the type
        values[0] = VALUES[name][0]
    columns["a"] = [0.5] * rows
    rule, value = (draw.pick(BROKEN), lambda row: True) if broken else _condition(draw, 2)
    way = draw.pick(("memory", "parquet", "csv"))
    given = _given(draw, way, columns)
    labels = [value({n: v[row] for n, v in columns.items()}) for row in range(rows)]
    masked = draw.chance(0.7)
    refusal = "must" if broken or (None in labels and not masked) else "never"

    def run() -> list:
        try:
            task = kr.Task("y", when=rule, nulls="mask" if masked else "refuse")
        except TypeError as error:
            raise NotThereError("when=") from error
        feature = kr.features.Numeric("a", mean=0.0, std=1.0)
        return list(read_rows(given, [feature], [task], batch_size=draw.whole(1, 5)))

    def right(batches: list) -> str | None:
        found = np.concatenate([b[1]["y"] for b in batches]).ravel().tolist()
        seen = np.concatenate([b[2]["y"] for b in batches]).ravel().tolist()
        expected = [float(label or 0) for label in labels]
        if seen != [float(label is not None) for label in labels]:
            return f"weights {seen}, labels are {labels}"
        return None if found == expected else f"labels {found}, right is {expected}"

    what = f"{rule!r:.200} of {columns}"
    names = ("'y'", "`when`", "'event' of", "'length' of")  # the latter two of CSV files
    return Call(f"rules, {way}", "labels by rule", what, run, right, refusal, names)


def _given(draw: Draw, way: str, columns: dict[str, list]) -> Any:
    if way == "memory":
        return containers.in_memory(draw, columns)[1]
    path = Path(tempfile.mkdtemp(prefix="fuzz")) / f"log.{way}"
    if way == "csv":
        return files.put_csv(path, columns)
    return files.put(draw, path, columns)


def _condition(draw: Draw, depth: int) -> Condition:
    if not depth or draw.chance(0.4):
        return draw.pick((_numbers, _numbers, _others))(draw)
    (one, first), (other, second) = _condition(draw, depth - 1), _condition(draw, depth - 1)
    joined = draw.pick(("and", "or"))
    # Kleene's logic: the least and the greatest of false, unknown and true.
    rank = {False: 0, None: 1, True: 2}
    choose: Any = min if joined == "and" else max

    def both(row: Row) -> bool | None:
        return choose((first(row), second(row)), key=lambda v: rank[v])

    if draw.chance(0.7):
        return f"({one} {joined} {other})", both
    return f"not ({one} {joined} {other})", lambda row: None if both(row) is None else not both(row)


def _numbers(draw: Draw) -> Condition:
    operator, number = draw.pick(tuple(COMPARE)), draw.pick(LITERALS)
    name, other = draw.some(NUMBERS, 2, 2)
    factor = Fraction(number)
    right: list[tuple[str, Callable[[Row], Any]]] = [
        (number, lambda row: factor),
        (other, lambda row: Fraction(row[other])),
        (f"{number} * {other}", lambda row: factor * Fraction(row[other])),
        (f"{other} / 2 + {number}", lambda row: Fraction(row[other]) / 2 + factor),
    ]
    text, value = draw.pick(right)
    read = (name,) if text == number else (name, other)
    if draw.chance(0.2):
        inside = [Fraction(4), factor]
        return f"{name} in (4, {number})", _known(
            (name,), lambda row: Fraction(row[name]) in inside
        )
    return f"{name} {operator} {text}", _known(
        read, lambda row: COMPARE[operator](Fraction(row[name]), value(row))
    )


def _others(draw: Draw) -> Condition:
    word, moment = draw.pick(VALUES["event"]), draw.pick(VALUES["of day"])
    operator, name = draw.pick(tuple(COMPARE)), draw.pick(("stars", "event", "liked"))
    cases: list[Condition] = [
        (f"event == '{word}'", _known(("event",), lambda row: row["event"] == word)),
        (f"event not in ('x', '{word}')", _known(("event",), lambda row: row["event"] != word)),
        ("liked", _known(("liked",), lambda row: row["liked"])),
        ("liked == false", _known(("liked",), lambda row: not row["liked"])),
        (f"{name} is null", lambda row: row[name] is None),
        (f"{name} is not null", lambda row: row[name] is not None),
        (
            f"`of day` {operator} '{moment}'",
            _known(("of day",), lambda row: COMPARE[operator](_time(row["of day"]), _time(moment))),
        ),
    ]
    return draw.pick(cases)


def _time(text: str) -> str:
    """Returns a time in one form, in which the order of texts is that of times."""
    return f"{text[:10]} {text[11:] or '00:00'}:00"[:19]


def _known(read: tuple[str, ...], value: Callable[[Row], bool]) -> Callable[[Row], bool | None]:
    return lambda row: None if any(row[name] is None for name in read) else value(row)
