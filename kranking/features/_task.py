"""Declaration of an action to predict."""

from dataclasses import KW_ONLY, dataclass

from kranking._core import check_choice, check_number


@dataclass(frozen=True)
class Task:
    """A user action to predict, with a label column, a logit and a weight in the loss.

    Args:
        name: Name of the task and of the model output.
        weight: Nonnegative weight of the loss of the task.
        label: Column of the log with values 0 and 1; `None` reads the column called `name`.
        nulls: Treatment of null labels: `"refuse"` raises an error that names the row, `"mask"` sets the
            weight of the row in this task to 0, for rows in which the action was not observed.

    >>> Task("save", weight=2.0).column
    'save'
    """

    name: str
    _: KW_ONLY
    weight: float = 1.0
    label: str | None = None
    nulls: str = "refuse"

    def __post_init__(self):
        if not isinstance(self.name, str) or not self.name:
            raise ValueError(f"`name` must be a non-empty string. Received: name={self.name!r}")
        check_number("weight", self.weight, low=0.0)
        check_choice("nulls", self.nulls, ("refuse", "mask"))

    @property
    def column(self) -> str:
        """The column of the log with the labels."""
        return self.label or self.name
