"""Labels by rule: conditions on the columns of a log, their grammar and their exact values."""

from kranking.features._rules._rule import Rule as Rule
from kranking.features._rules._rule import rule_of as rule_of

__all__ = ["Rule", "rule_of"]
