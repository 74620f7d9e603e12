"""Label rules: what they accept, what each row becomes, and a slow independent reading of both."""

import datetime
from decimal import Decimal

import pyarrow as pa
import pytest

from kranking.features import Task
from kranking.features._rules import Rule
from kranking.features.internal import Origin

pytestmark = pytest.mark.once
NAN = float("nan")
UTC = datetime.UTC


def labels(rule, /, **columns):
    columns = {n: v if isinstance(v, pa.Array) else pa.array(v) for n, v in columns.items()}
    return Rule(rule)(columns, "Task 'like'", Origin("log")).to_pylist()


VALUES = {
    "integers": ("a >= 4", {"a": [3, 4, None, 5]}, [0, 1, None, 1]),
    "mirrored": ("4 > a", {"a": [3, 4, 5]}, [1, 0, 0]),
    "fraction": ("a > 3.5", {"a": [3, 4]}, [0, 1]),
    "never": ("a == 3.5", {"a": [3, 4]}, [0, 0]),
    "half stars": ("a >= 3.5", {"a": [3.0, 3.5, NAN, None, 4.0]}, [0, 1, None, None, 1]),
    "infinity": ("a > 4", {"a": [float("inf"), -float("inf")]}, [1, 0]),
    "float32": ("a >= 0.9", {"a": pa.array([0.9, 0.89], pa.float32())}, [1, 0]),
    "float32 below": ("a < 0.7", {"a": pa.array([0.7], pa.float32())}, [0]),
    "float64": ("a == 0.1", {"a": [0.1, 0.2]}, [1, 0]),
    "long literal": ("a >= 0.10000000000000001", {"a": [0.1]}, [0]),
    "large integers": ("a == 9007199254740993", {"a": [2**53, 2**53 + 1]}, [0, 1]),
    "unsigned": ("a > 18446744073709551614", {"a": pa.array([2**64 - 1, 1], pa.uint64())}, [1, 0]),
    "beyond the type": ("a < 1000", {"a": pa.array([-1, 100], pa.int8())}, [1, 1]),
    "decimals": ("a >= 9.99", {"a": [Decimal("9.99"), Decimal("9.98"), None]}, [1, 0, None]),
    "long decimals": ("a > 4", {"a": [Decimal("4.00000000000000000001"), Decimal(4)]}, [1, 0]),
    "share": ("a >= 0.8 * b", {"a": [8, 7, 2], "b": [10, 9, 0]}, [1, 0, 1]),
    "share at the bound": ("a >= 0.55 * b", {"a": [55, 54], "b": [100, 100]}, [1, 0]),
    "share of floats": ("a >= 0.8 * b", {"a": [2.4, 0.7, NAN], "b": [3.0, 0.875, 1.0]}, [1, 1, None]),
    "share of both": ("a >= 0.7 * b", {"a": pa.array([0.7], pa.float32()), "b": [1]}, [1]),
    "widths": ("a == b", {"a": pa.array([0.1, 0.5], pa.float32()), "b": [0.1, 0.25]}, [1, 0]),
    "equal floats": ("a <= b", {"a": [0.1, 0.2, 0.3], "b": [0.1, 0.1, 0.4]}, [1, 0, 1]),
    "large columns": ("a > b", {"a": [2**53 + 1], "b": pa.array([2**53], pa.uint64())}, [1]),
    "difference": ("b - a >= 30", {"a": [0, 1], "b": [30, 30]}, [1, 0]),
    "constants": ("a >= 24 * 3600 / 2 - -1", {"a": [43_200, 43_201]}, [0, 1]),
    "between": ("1 <= a < 3", {"a": [0, 1, 2, 3]}, [0, 1, 1, 0]),
    "numbers in": ("a in (1, 2.5, 0.1)", {"a": [1.0, 2.5, 0.1, 3.0, NAN]}, [1, 1, 1, 0, None]),
    "one in": ("a not in (4)", {"a": [4, 5]}, [0, 1]),
    "text": ("a == 'like'", {"a": ["like", "hide", None]}, [1, 0, None]),
    "other text": ('a != "it\'s"', {"a": ["it's", ""]}, [0, 1]),
    "texts in": ("a in ['x', 'y']", {"a": ["x", "z", None]}, [1, 0, None]),
    "texts not in": ("a not in ('x', 'y')", {"a": ["x", "z", None]}, [0, 1, None]),
    "two texts": ("a == b", {"a": ["x", "y"], "b": pa.array(["x", "z"], pa.large_string())}, [1, 0]),
    "booleans": ("a and not b", {"a": [True, True, False], "b": [False, None, None]}, [1, None, 0]),
    "boolean literals": ("a == true or b == false", {"a": [True, False], "b": [True, True]}, [1, 0]),
    "null": ("a is null", {"a": [1.0, NAN, None]}, [0, 1, 1]),
    "not null": ("t is not null and t >= 3", {"t": [None, 2, 3]}, [0, 0, 1]),
    "Kleene": ("a == 1 or b == 1", {"a": [1, 0, None], "b": [None, None, 1]}, [1, None, 1]),
    "all null": ("a >= 4 and b == 'x'", {"a": pa.nulls(2), "b": ["x", "y"]}, [None, 0]),
    "precedence": ("a == 1 or b == 1 and not c == 1", {"a": [1, 0], "b": [0, 1], "c": [1, 1]}, [1, 0]),
    "backticks": ("`m c` > 1 and `true` and ß > 1", {"m c": [2], "true": [True], "ß": [2]}, [1]),
    "lines": ("a > 1\n  and b > 1\n", {"a": [2], "b": [2]}, [1]),
    "no rows": ("a > 1 and b == 'x'", {"a": pa.array([], pa.int8()), "b": pa.array([], pa.string())}, []),
}  # fmt: skip


@pytest.mark.parametrize("case", VALUES)
def test_values(case):
    rule, columns, expected = VALUES[case]
    assert labels(rule, **columns) == expected


NOON = datetime.datetime(2026, 1, 31, 12)
TIMES = {
    "seconds": ("t >= '2026-01-31 12:00'", pa.timestamp("s"), [NOON, None], [1, None]),
    "fraction": ("t >= '2026-01-31T12:00:00.5'", pa.timestamp("s"), [NOON], [0]),
    "nanoseconds": ("t < '2026-01-31T12:00:00.000000001'", pa.timestamp("ns"), [NOON], [1]),
    "equal": ("t == '2026-01-31 12:00:00'", pa.timestamp("ms"), [NOON], [1]),
    "in": ("t in ('2026-01-30', '2026-01-31')", pa.date32(), [NOON.date(), None], [1, None]),
    "dates": ("t > '2026-01-30 23:59'", pa.date64(), [NOON.date()], [1]),
    "zone": ("t == '2026-01-31T13:00+01:00'", pa.timestamp("us", "UTC"), [NOON], [1]),
    "texts": (
        "t < '2026-01-31 12:00'",
        pa.string(),
        ["2026-01-31", "2026-01-31 12:00", None],
        [1, 0, None],
    ),
    "texts with offset": (
        "t <= '2026-01-31T12:00Z'",
        pa.large_string(),
        ["2026-01-31T12:59:59.999999999+01:00"],
        [1],
    ),
    "texts in": ("t not in ('2026-01-30', '2026-01-31')", pa.string(), ["2026-01-31 00:00"], [0]),
    "far": ("t < '9999-12-31'", pa.timestamp("ns"), [NOON], [1]),
}


@pytest.mark.parametrize("case", TIMES)
def test_times(case):
    rule, kind, values, expected = TIMES[case]
    assert labels(rule, t=pa.array(values, kind)) == expected


def test_times_are_compared_with_times_exactly():
    shown = pa.array([2**60, 2**60 + 1], pa.timestamp("ns"))
    clicked = pa.array([2**60, 2**60], pa.timestamp("ns"))
    assert labels("clicked < shown", clicked=clicked, shown=shown) == [False, True]
    day = pa.array([NOON.date()] * 2)
    clicked = pa.array([NOON, NOON - datetime.timedelta(days=1)], pa.timestamp("us"))
    assert labels("clicked >= day", clicked=clicked, day=day) == [True, False]


TYPES = {
    "text with a number": ("a >= 4", ["5"], "Received: string in log. Compare with a text"),
    "text in numbers": ("a in (4, 5)", ["5"], "Expected: numbers. Received: string"),
    "number with a text": ("a == '4'", [4], "Received: int64 in log. Write numbers without"),
    "boolean with a number": ("a == 1", [True], "Received: bool in log. Write the name of the column"),
    "number as a condition": ("a", [1], "Expected: true and false. Received: int64 in log. Write `== 1`"),
    "texts that are no times": ("a > '2026-01-31'", ["2026-01-31", None, "x"], "as times.*'x' in row 2"),
    "texts with another zone": ("a in ('2026-01-31')", ["2026-01-31T00:00Z"], "00:00Z' in row 0"),
    "time with a text": ("a == 'x'", [NOON], "timestamp.us. in log. Compare with a time"),
    "number with a time": ("a >= '2026-01-31'", [4], "Expected: times. Received: int64"),
    "time with a number": ("a >= 4", [NOON], r"timestamp\[us\] in log. Compare with a time"),
    "time with zone": ("a >= '2026-01-31'", [NOON.replace(tzinfo=UTC)], "Z', with their offset from UTC"),
    "time without zone": ("a >= '2026-01-31T00:00Z'", [NOON], "times such as '2026-01-31 12:00:00'"),
    "time in a sum": ("a - 3 > 4", [NOON], "Expected: numbers"),
    "duration": ("a >= 30", [datetime.timedelta(1)], r"Received: duration\[us\]"),
    "bytes": ("a == 'x'", [b"x"], "Received: binary"),
    "list": ("a == 1", [[1]], "Received: list"),
    "integer beyond 2^53": ("a == 9007199254740993", [1.0], "not exact from 2.53"),
    "undefined": ("a - b > 1", [float("inf")], "infinity minus infinity in row 0 of log"),
    "floats beyond 2^53": ("a >= b", [1e17], "not exact from 2.53.*1e.17 in row 0 of log"),
    "text with a column of numbers": ("a == b", ["x"], "Expected: numbers. Received: string"),
}  # fmt: skip


@pytest.mark.parametrize("case", TYPES)
def test_types_that_do_not_compare_are_refused(case):
    rule, values, message = TYPES[case]
    columns = {"a": values} | ({"b": pa.array(values * 1)} if "b" in rule else {})
    if case == "text with a column of numbers":
        columns["b"] = [1]
    with pytest.raises(ValueError, match=message):
        labels(rule, **columns)


SYNTAX = {
    "a => 4": "no rule, at character 3, '=> 4'. A rule compares columns",
    "a = 4": "at character 3, '= 4'",
    "ü > 3 and (ö => 4)": "at character 14, '=> 4",
    "  a >": "at character 6",
    "a AND b": "at character 3, 'AND b'",
    "a >= 4 & b": "`&`, at character 6.*Write `and`",
    "abs(a) > 1": "a call of a function, at character 1",
    "__import__('os')": "a call of a function",
    "a.b > 3": "a dot, at character 1.*A name with a dot stands in backticks",
    "a[0] > 3": "contains 'a",
    "a % 2 == 1": r"contains 'a % 2' \(Python's Mod\)",
    "a if b else c": "Python's IfExp",
    "a in {1, 2}": "braces",
    "a > b * c": "multiplies two columns, at character 5",
    "a / b >= 0.8": "divides by a column or by 0.*Write a >= 0.8",
    "a > 1 / 0": "divides by a column or by 0",
    "3 > 2": "compares no column",
    "a - a > 0": "column 'a' cancels out",
    "a >= a": "column 'a' cancels out",
    "0 * a >= b": "column 'a' cancels out",
    "'x' == 'y'": "compares no column with a text",
    "a + 'x' > 3": "calculates with what is no number",
    "a * 2 == 'x'": "compares no column with a text",
    "a == null": "compares with null, at.*Write `is null`",
    "a is 3": "`is` stands before something else",
    "a < true": "orders true and false",
    "a >= 'm'": "orders texts, at character 1.*Texts are compared by ==, != and in",
    "a >= '2026-02-31'": "a time that there is not, '2026-02-31'",
    "a == b == c": "chains comparisons",
    "a + 1": "is no comparison",
    "true": "is no comparison",
    "a in ('x', 4)": "values of one kind",
    "a in ()": "values of one kind",
    "a in b": "needs numbers, or texts",
    "a == 'x' 'y'": "no rule, at character 10",
    "a == 'x": "no rule, at character 6",
    "a == r'x'": "a name in an unknown form",
    "a == 'x\\n' or\\\n b": "has no meaning, at character 14",
    "a > 4 # or more": "'#' has no meaning, at character 7",
    "a > 0x10": "number in another form",
    "a > 1_000": "number in another form",
    "a > 4and b": "number in another form",
    "a > 4j": "number in another form",
    "a > 1e999": "beyond 1e100",
    "a > 1e-999": "below 1e-100",
    "a > 1e80 * 1e80 * b": "beyond 1e100",
    "not " * 2000 + "a": "nested more than 100 deep",
    "not " * 200 + "a": "nested more than 100 deep",
    "a" + " + a" * 2000 + " > 3": "nested more than 100 deep",
    "(" * 300 + "a" + ")" * 300: "no rule",
    "": "must be a rule such as",
    "a" * 10_001: "at most 10,000 characters",
    "a := 3": "no rule",
    "lambda: a": "Python's Lambda",
    "a > \0": "has no meaning",
}


@pytest.mark.parametrize("rule", SYNTAX, ids=lambda rule: rule[:20])
def test_what_is_no_rule_is_refused_with_its_place(rule):
    with pytest.raises(ValueError, match=SYNTAX[rule]):
        Task("like", when=rule)


def test_a_backslash_in_a_text_is_itself():
    assert labels(r"a == 'C:\new'", a=["C:\\new", "C:\new"]) == [True, False]


def test_long_rules():
    rule = " or ".join(f"a == {i}" for i in range(700))
    assert labels(rule, a=[3, 699, 700]) == [True, True, False]
    assert labels(" + ".join(["a"] * 90) + " > 180", a=[2, 3]) == [False, True]
    assert labels("not " * 90 + "a", a=[True]) == [True]


def test_declarations():
    assert Task("like", when="b > 1 or a == 1 or b < 0").columns == ("b", "a")
    assert Task("like", when=" rating >= 4").when == " rating >= 4"
    with pytest.raises(
        ValueError, match=r"`label` and `when` exclude each other.*label='rating', wh"
    ):
        Task("like", label="rating", when="rating >= 4")
    with pytest.raises(
        ValueError, match=r"named after the task. Received: name='rating', when='rat"
    ):
        Task("rating", when="rating >= 4")
    for label in ("", 3):
        with pytest.raises(ValueError, match="`label` must be a non-empty string or None"):
            Task("like", label=label)
