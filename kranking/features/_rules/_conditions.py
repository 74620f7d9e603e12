"""Conditions of label rules, as a tree, and their grammar."""

import ast
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from kranking.features._rules._linear_form import LinearForm
from kranking.features._rules._operand import column, operand, total
from kranking.features._rules._rule_text import RuleText
from kranking.features._rules._times import looks_like_time, time_of

_OPERATORS = {
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.In: "in",
    ast.NotIn: "not in",
    ast.Is: "is",
    ast.IsNot: "is not",
}
_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}


@dataclass(frozen=True)
class Compare:
    """A comparison of a linear form with 0."""

    form: LinearForm
    operator: str

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are read."""
        return tuple(self.form.factors)


@dataclass(frozen=True)
class IsIn:
    """Whether the value of a column is one of several texts, truth values or numbers."""

    column: str
    values: tuple[Any, ...]  # of one type

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are read."""
        return (self.column,)


@dataclass(frozen=True)
class CompareTime:
    """A comparison of a column with a time, in seconds since 1970."""

    column: str
    operator: str
    time: Fraction
    zoned: bool

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are read."""
        return (self.column,)


@dataclass(frozen=True)
class IsNull:
    """Whether the value of a column is null."""

    column: str

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are read."""
        return (self.column,)


@dataclass(frozen=True)
class Not:
    """The negation of a condition."""

    condition: Any


@dataclass(frozen=True)
class Join:
    """Conditions joined by `and` or `or`."""

    operator: str
    conditions: tuple[Any, ...]


def parse(text: str) -> Any:
    """Returns the condition that a rule states.

    Raises:
        ValueError: If the text is no rule.

    >>> parse("event in ('like', 'save')")
    IsIn(column='event', values=('like', 'save'))
    """
    rule = RuleText(text)
    return _condition(rule, rule.node)


def leaves(condition: Any) -> list[Any]:
    """Returns the conditions of a rule that read columns, in their order."""
    if isinstance(condition, Not):
        return leaves(condition.condition)
    if isinstance(condition, Join):
        return [leaf for part in condition.conditions for leaf in leaves(part)]
    return [condition]


def _condition(rule: RuleText, node: Any) -> Any:
    if isinstance(node, ast.BoolOp):
        operator = "and" if isinstance(node.op, ast.And) else "or"
        return Join(operator, tuple(_condition(rule, value) for value in node.values))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return Not(_condition(rule, node.operand))
    if isinstance(node, ast.Compare):
        return _comparison(rule, node)
    return IsIn(column(rule, node, "which is no comparison"), (True,))


def _comparison(rule: RuleText, node: ast.Compare) -> Any:
    operators = [_OPERATORS[type(operator)] for operator in node.ops]
    if len(operators) > 1 and not {*operators} <= {*_MIRRORED}:
        raise rule.refused(node, "which chains comparisons", "Join them by `and`.")
    nodes = [node.left, *node.comparators]
    pairs = [_pair(rule, *parts) for parts in zip(nodes, operators, nodes[1:])]
    return pairs[0] if len(pairs) == 1 else Join("and", tuple(pairs))


def _pair(rule: RuleText, left: Any, operator: str, right: Any) -> Any:
    if operator in ("in", "not in"):
        condition = _membership(rule, left, right)
        return condition if operator == "in" else Not(condition)
    one, other = operand(rule, left), operand(rule, right)
    if operator in ("is", "is not"):
        if other is not None:
            raise rule.refused(right, "where `is` stands before something else than null")
        condition = IsNull(column(rule, left, "where `is null` has no column"))
        return condition if operator == "is" else Not(condition)
    if one is None or other is None:
        raise rule.refused(left, "which compares with null", "Write `is null` or `is not null`.")
    if isinstance(one, LinearForm) and isinstance(other, LinearForm):
        form = total(rule, left, one, other, Fraction(-1))
        if not form.factors:
            raise rule.refused(left, "which compares no column")
        return Compare(form, operator)
    if isinstance(other, LinearForm):
        left, one, other = right, other, one
        operator = _MIRRORED.get(operator, operator)
    return _with_literal(rule, left, operator, other)


def _with_literal(rule: RuleText, node: Any, operator: str, value: Any) -> Any:
    """Returns the comparison of a column with a text or a truth value."""
    name = column(rule, node, "which compares no column with a text or a truth value")
    if isinstance(value, str) and looks_like_time(value):
        return _at_time(rule, node, name, operator, value)
    if operator in ("==", "!="):
        condition = IsIn(name, (value,))
        return condition if operator == "==" else Not(condition)
    if isinstance(value, str):
        hint = "Texts are compared by ==, != and in; a time is written as in '2026-01-31 12:00'."
        raise rule.refused(node, "which orders texts", hint)
    raise rule.refused(node, "which orders true and false")


def _at_time(rule: RuleText, node: Any, name: str, operator: str, text: str) -> CompareTime:
    for zoned in (False, True):
        time = time_of(text, zoned)
        if time is not None:
            return CompareTime(name, operator, time, zoned)
    raise rule.refused(node, f"with a time that there is not, {text!r}")


def _membership(rule: RuleText, left: Any, right: Any) -> Any:
    name = column(rule, left, "which has no column before `in`")
    parts = right.elts if isinstance(right, ast.Tuple | ast.List) else [right]
    values = tuple(_literal(rule, part) for part in parts)
    if not values or len({type(value) for value in values}) > 1:
        raise rule.refused(right, "where `in` needs values of one kind")
    if all(isinstance(value, str) and looks_like_time(value) for value in values):
        return Join("or", tuple(_at_time(rule, right, name, "==", value) for value in values))
    return IsIn(name, values)


def _literal(rule: RuleText, node: Any) -> Any:
    value = operand(rule, node)
    if value is None or (isinstance(value, LinearForm) and value.factors):
        raise rule.refused(node, "where `in` needs numbers, or texts in quotes")
    return value.constant if isinstance(value, LinearForm) else value
