"""Labels by rule: a condition on the columns of a log, true, false or null in each row."""

import functools
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kranking._rows import Origin
from kranking.features._rules._conditions import (
    Compare,
    CompareTime,
    IsIn,
    IsNull,
    Join,
    Not,
    leaves,
    parse,
)
from kranking.features._rules._exact_numbers import ExactNumbers
from kranking.features._rules._linear_form import LinearForm
from kranking.features._rules._times import EXPECTED, is_time, ticks, ticks_of_texts

_COMPARED = {
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
    "==": np.equal,
    "!=": np.not_equal,
}
_NUMBERS, _TEXTS, _TRUTH, _TIMES = "numbers", "texts", "true and false", "times"
_KINDS = {
    _NUMBERS: lambda k: pa.types.is_integer(k) or pa.types.is_floating(k) or pa.types.is_decimal(k),
    _TEXTS: lambda k: pa.types.is_string(k) or pa.types.is_large_string(k),
    _TRUTH: pa.types.is_boolean,
    _TIMES: is_time,
    None: pa.types.is_null,
}
_HINTS = {
    (_NUMBERS, _TEXTS): "Compare with a text in quotes, or store numbers",
    (_NUMBERS, _TIMES): "Compare with a time in quotes, such as '2026-01-31'",
    (_TEXTS, _NUMBERS): "Write numbers without quotes",
    (_TRUTH, _NUMBERS): "Write `== 1`",
    (_NUMBERS, _TRUTH): "Write the name of the column alone, or `not` before it",
    (_TEXTS, _TIMES): "Compare with a time in quotes, such as '2026-01-31'",
}


class Rule:
    """A condition on the columns of a log.

    Numbers are compared exactly. A comparison with a null or NaN is null; `and`, `or` and `not` follow
    Kleene's logic, as in SQL.

    Args:
        text: The rule.

    Attributes:
        columns: The columns that it reads, in the order of their names in the rule.

    Raises:
        ValueError: If the text is no rule.

    >>> Rule("watch_time >= 0.8 * duration or event == 'like'").columns
    ('watch_time', 'duration', 'event')
    """

    def __init__(self, text: str):
        self.text, self._condition = text, parse(text)
        self._leaves = leaves(self._condition)
        self.columns = tuple(dict.fromkeys(c for leaf in self._leaves for c in leaf.columns))

    def column_types(self) -> dict[str, pa.DataType]:
        """Returns the types of columns of CSV files that the rule demands; others are inferred.

        Texts that are compared with times are read as times.
        """
        types: dict[str, pa.DataType] = {}
        for leaf in self._leaves:
            for column in leaf.columns:
                kind = _csv_type(leaf)
                if kind is not None:
                    types.setdefault(column, kind)
        open_ones = {c for leaf in self._leaves if _csv_type(leaf) is None for c in leaf.columns}
        for column in (leaf.column for leaf in self._leaves if isinstance(leaf, IsNull)):
            if column not in open_ones:
                types.setdefault(column, pa.string())
        return types

    def __call__(self, columns: Mapping[str, pa.Array], who: str, origin: Origin) -> pa.Array:
        """Returns a boolean for each row.

        Args:
            columns: The columns by name, of Arrow's plain types.
            who: Who has the rule, for error messages.
            origin: Origin of the rows, for error messages.

        Raises:
            ValueError: If a column has another type than the rule compares it with.
        """
        return _Rows(columns, f"{who} with the rule {self.text!r:.200}", origin).of(self._condition)


@functools.lru_cache(maxsize=256)
def rule_of(text: str) -> Rule:
    """Returns the rule of a text, which is read once."""
    return Rule(text)


def _csv_type(leaf: Any) -> pa.DataType | None:
    if isinstance(leaf, CompareTime):
        return pa.string()
    if isinstance(leaf, IsIn):
        of_literals = {str: pa.string(), bool: pa.bool_(), Fraction: pa.float64()}
        return of_literals[type(leaf.values[0])]
    return pa.float64() if isinstance(leaf, Compare) and not _is_pair(leaf.form) else None


def _is_pair(form: LinearForm) -> bool:
    """Whether a form compares one column with another."""
    return sorted(form.factors.values()) == [-1, 1] and not form.constant


class _Rows:
    """The columns that a rule reads in a block of rows."""

    def __init__(self, columns: Mapping[str, pa.Array], who: str, origin: Origin):
        self._columns, self._who, self._origin = columns, who, origin
        self._kinds = {name: self._kind(name) for name in columns}

    def of(self, condition: Any) -> pa.Array:
        """Returns the values of a condition."""
        if isinstance(condition, Not):
            return pc.invert(self.of(condition.condition))  # pyright: ignore
        if isinstance(condition, Join):
            join = pc.and_kleene if condition.operator == "and" else pc.or_kleene  # pyright: ignore
            return functools.reduce(join, map(self.of, condition.conditions))
        if isinstance(condition, IsNull):
            return pa.array(self._missing(condition.column))
        for name in condition.columns:
            if self._kinds[name] is None:  # all null
                return pa.nulls(len(self._columns[name]), pa.bool_())
        if isinstance(condition, IsIn):
            return self._membership(condition)
        if isinstance(condition, CompareTime):
            return self._at_time(condition)
        return self._comparison(condition)

    def _kind(self, name: str) -> str | None:
        kind = self._columns[name].type
        return next((known for known, good in _KINDS.items() if good(kind)), f"{kind}")

    def _missing(self, name: str) -> np.ndarray:
        nan_is_null = self._kinds[name] == _NUMBERS
        return pc.is_null(self._columns[name], nan_is_null=nan_is_null).to_numpy(False)  # pyright: ignore

    def _membership(self, condition: IsIn) -> pa.Array:
        name, values, array = condition.column, condition.values, self._columns[condition.column]
        if isinstance(values[0], Fraction):
            self._require(name, _NUMBERS)
            forms = [LinearForm({name: Fraction(1)}, -value) for value in values]
            found = [self._signs(form, "==", {name: array}) for form in forms]
            return functools.reduce(pc.or_kleene, found)  # pyright: ignore
        self._require(name, _TEXTS if isinstance(values[0], str) else _TRUTH)
        found = pc.is_in(array, value_set=pa.array(values, array.type))  # pyright: ignore
        return pc.if_else(array.is_null(), pa.scalar(None, pa.bool_()), found)  # pyright: ignore

    def _at_time(self, condition: CompareTime) -> pa.Array:
        name, array = condition.column, self._columns[condition.column]
        if self._kinds[name] == _TEXTS:
            what = f"{self._who} cannot read column {name!r}"
            array, unit = ticks_of_texts(array, condition.zoned, what, self._origin)
        else:
            self._require(name, _TIMES)
            if _is_zoned(array) != condition.zoned:
                raise self._refused(name, EXPECTED[condition.zoned], EXPECTED[_is_zoned(array)])
            array, unit = ticks(array)
        return self._signs(
            LinearForm({name: unit}, -condition.time), condition.operator, {name: array}
        )

    def _comparison(self, condition: Compare) -> pa.Array:
        names = condition.columns
        kinds = {self._kinds[name] for name in names}
        if not _is_pair(condition.form) or len(kinds) > 1:
            for name in names:
                self._require(name, _NUMBERS)
        arrays = {name: self._columns[name] for name in names}
        if kinds == {_NUMBERS}:
            return self._signs(condition.form, condition.operator, arrays)
        one, other = arrays.values()
        if kinds == {_TIMES}:
            if _is_zoned(one) != _is_zoned(other):
                raise self._refused(
                    names[0], f"{names[1]!r} ({other.type})", "times with time zones"
                )
            times = {n: ticks(array) for n, array in arrays.items()}
            factors = {n: condition.form.factors[n] * unit for n, (_, unit) in times.items()}
            arrays = {name: array for name, (array, _) in times.items()}
            return self._signs(LinearForm(factors), condition.operator, arrays)
        self._require(names[0], _TEXTS if kinds == {_TEXTS} else _TRUTH)
        if condition.operator not in ("==", "!="):
            self._require(names[0], _NUMBERS)
        if kinds == {_TEXTS}:
            one, other = one.cast(pa.large_string()), other.cast(pa.large_string())
        equal = pc.equal(one, other)  # pyright: ignore
        return equal if condition.operator == "==" else pc.invert(equal)  # pyright: ignore

    def _signs(self, form: LinearForm, operator: str, arrays: Mapping[str, pa.Array]) -> pa.Array:
        """Returns the comparison of a form with 0."""
        numbers = {n: ExactNumbers(array, n, self._origin) for n, array in arrays.items()}
        signs = form.signs(numbers)
        return pa.array(_COMPARED[operator](signs, 0), mask=np.isnan(signs))

    def _require(self, name: str, expected: str) -> None:
        received = self._kinds[name]
        if received != expected:
            hint = _HINTS.get((expected, received or ""), "")
            raise self._refused(name, expected, expected, f" {hint}." if hint else "")

    def _refused(self, name: str, other: str, expected: str, hint: str = "") -> ValueError:
        return ValueError(
            f"{self._who} cannot compare column {name!r} with {other}. Expected: {expected}. Received: "
            f"{self._columns[name].type} in {self._origin.file}.{hint}"
        )


def _is_zoned(array: pa.Array) -> bool:
    return pa.types.is_timestamp(array.type) and array.type.tz is not None
