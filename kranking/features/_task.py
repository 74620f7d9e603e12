"""Declaration of an action to predict."""

from dataclasses import KW_ONLY, dataclass

from kranking._core import check_choice, check_number
from kranking.features._rules import Rule, rule_of


@dataclass(frozen=True)
class Task:
    """A user action to predict, with labels from a column or by a rule, a logit and a weight in the loss.

    A rule compares columns of the log with numbers, with texts in quotes or with each other: `==`, `!=`,
    `<`, `<=`, `>`, `>=`, `in (…)`, `not in (…)`, `is null`, `is not null`, `and`, `or`, `not` and
    parentheses, with factors as in `watch_time >= 0.8 * duration`. A column of booleans is a condition
    itself. Names that are no words stand in backticks; times are compared with texts such as
    `'2026-01-31'`. Numbers are compared exactly: 0.8 is eight tenths. A comparison with null or NaN is
    null.

    Args:
        name: Name of the task and of the model output.
        weight: Nonnegative weight of the loss of the task.
        label: Column of the log with values 0 and 1; `None` reads the column called `name`.
        nulls: Treatment of null labels: `"refuse"` raises an error that names the row, `"mask"` sets the
            weight of the row in this task to 0, for rows in which the action was not observed.
        when: Rule that is true where the label is 1, instead of `label`.

    Raises:
        ValueError: If an argument is invalid; for a rule, with the place.

    >>> Task("save", weight=2.0).columns
    ('save',)
    >>> Task("like", when="rating >= 4").columns
    ('rating',)
    """

    name: str
    _: KW_ONLY
    weight: float = 1.0
    label: str | None = None
    nulls: str = "refuse"
    when: str | None = None

    def __post_init__(self):
        if not isinstance(self.name, str) or not self.name:
            raise ValueError(f"`name` must be a non-empty string. Received: name={self.name!r}")
        check_number("weight", self.weight, low=0.0)
        check_choice("nulls", self.nulls, ("refuse", "mask"))
        if self.label is not None and (not isinstance(self.label, str) or not self.label):
            raise ValueError(
                f"`label` must be a non-empty string or None. Received: label={self.label!r}"
            )
        if self.when is not None:
            self._check_rule()

    def _check_rule(self) -> None:
        if self.label is not None:
            raise ValueError(
                "`label` and `when` exclude each other: labels are from a column or by a rule. Received: "
                f"label={self.label!r}, when={self.when!r}"
            )
        if self.name in self.columns:
            raise ValueError(
                "`name` must not be a column that `when` reads, since labels and predictions are named "
                f"after the task. Received: name={self.name!r}, when={self.when!r}"
            )

    @property
    def rule(self) -> Rule | None:
        """The rule of the labels, if there is one."""
        return None if self.when is None else rule_of(self.when)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the log from which the labels come."""
        return (self.label or self.name,) if self.rule is None else self.rule.columns
