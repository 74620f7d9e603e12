"""Operands of label rules: texts, true, false, null, and sums of columns."""

import ast
import math
from fractions import Fraction
from typing import Any

from kranking.features._rules._linear_form import LinearForm
from kranking.features._rules._rule_text import GRAMMAR, RuleText

_WORDS = {"true": True, "false": False, "null": None}
_NOTHING = LinearForm({})
_MAX = 1e100  # a rule may come from a file, and fractions of larger numbers take memory
_UNKNOWN = {
    ast.BitAnd: ("`&`", "Write `and`, with a comparison on each side."),
    ast.BitOr: ("`|`", "Write `or`, with a comparison on each side."),
    ast.Invert: ("`~`", "Write `not`."),
    ast.Call: ("a call of a function", GRAMMAR),
    ast.Attribute: ("a dot", "A name with a dot stands in backticks, as in `a.b`."),
    ast.Set: ("braces", "Write the values of `in` in parentheses."),
}


def operand(rule: RuleText, node: Any) -> str | bool | LinearForm | None:
    """Returns a text, a truth value, `None` for null, or a linear form of columns and numbers.

    Raises:
        ValueError: If the node is none of these.
    """
    if isinstance(node, ast.Name):
        return _name(rule, node)
    if isinstance(node, ast.Constant):
        if node.value is None or isinstance(node.value, bool):
            return node.value
        return _number(rule, node)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.UAdd | ast.USub):
        factor = -1 if isinstance(node.op, ast.USub) else 1
        return _NOTHING.plus(_form(rule, node.operand), Fraction(factor))
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
        factor = Fraction(1 if isinstance(node.op, ast.Add) else -1)
        return total(rule, node, _form(rule, node.left), _form(rule, node.right), factor)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult | ast.Div):
        return _product(rule, node)
    unknown = type(getattr(node, "op", node))
    otherwise = (f"{rule.source(node)!r:.40} (Python's {unknown.__name__})", GRAMMAR)
    what, hint = _UNKNOWN.get(unknown, otherwise)
    raise rule.refused(node, f"which contains {what}", hint)


def total(
    rule: RuleText, node: Any, one: LinearForm, other: LinearForm, factor: Fraction
) -> LinearForm:
    """Returns `one + factor · other`; raises `ValueError` if a column cancels out, whose nulls would."""
    form = one.plus(other, factor)
    lost = [name for name in (*one.factors, *other.factors) if name not in form.factors]
    if lost:
        raise rule.refused(node, f"where column {lost[0]!r} cancels out")
    return form


def column(rule: RuleText, node: Any, otherwise: str) -> str:
    """Returns the name of a column; raises `ValueError` with a text if the node is something else."""
    value = operand(rule, node)
    if not isinstance(value, LinearForm) or value.column is None:
        raise rule.refused(node, otherwise)
    return value.column


def _name(rule: RuleText, node: ast.Name) -> str | bool | LinearForm | None:
    kind, name = rule.quoted(node) or ("word", rule.source(node))
    if kind == "text":
        return name
    if kind == "word":
        if not name.isidentifier():  # a quote without a space before or behind it
            raise rule.refused(node, "with a name in an unknown form")
        if name in _WORDS:
            return _WORDS[name]
    return LinearForm({name: Fraction(1)})


def _number(rule: RuleText, node: ast.Constant) -> LinearForm:
    # From its text, for a float is the nearest binary fraction. The number is known to be small before.
    if not isinstance(node.value, int | float):
        raise rule.refused(node, "which contains a literal of another kind")
    small = math.isfinite(node.value) and abs(node.value) <= _MAX
    source = rule.source(node)
    if not small or (abs(node.value) < 1 / _MAX and set(source.lower().split("e")[0]) - set("0.")):
        raise rule.refused(node, "with a number beyond 1e100 or below 1e-100")
    return LinearForm({}, Fraction(source) if node.value else Fraction(0))


def _form(rule: RuleText, node: Any) -> LinearForm:
    value = operand(rule, node)
    if not isinstance(value, LinearForm):
        raise rule.refused(node, "which calculates with what is no number")
    return value


def _product(rule: RuleText, node: ast.BinOp) -> LinearForm:
    one, other = _form(rule, node.left), _form(rule, node.right)
    if isinstance(node.op, ast.Div):
        if other.factors or not other.constant:
            hint = "Write a >= 0.8 * b in place of a / b >= 0.8."
            raise rule.refused(node, "which divides by a column or by 0", hint)
        other = LinearForm({}, 1 / other.constant)
    if one.factors and other.factors:
        raise rule.refused(node, "which multiplies two columns")
    form, factor = (one, other.constant) if one.factors else (other, one.constant)
    product = total(rule, node, _NOTHING, form, factor)
    if any(
        not 1 / _MAX <= abs(v) <= _MAX for v in (*product.factors.values(), product.constant) if v
    ):
        raise rule.refused(node, "with a number beyond 1e100 or below 1e-100")
    return product
