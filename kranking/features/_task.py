"""Declaration of an action to predict."""

from dataclasses import KW_ONLY, dataclass

from kranking._core import check_choice, check_number


@dataclass(frozen=True)
class Task:
    """One user action: one label column, one logit, one weight in the loss.

    Args:
        name: Name of the task and of the model's output.
        weight: Weight of the task's loss. Not negative.
        label: Column of the log with 0 or 1; `None` reads the column called `name`.
        nulls: A null label: `"refuse"` raises, naming the row; `"mask"` gives the row weight 0 in this
            task, for an action that was not observed there.

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
        """The log column that holds the label."""
        return self.label or self.name
