"""The time from one column to another."""

from dataclasses import dataclass
from typing import ClassVar

from kranking.features._times import Times


@dataclass(frozen=True, repr=False)
class Age(Times):
    """Seconds from the times of a column to those of a reference column: the `column` of a `Numeric`.

    `age = at − column`, negative if `column` is later. The difference is exact in microseconds. Times are
    those of `TimePart`, and either both columns have a zone or neither. A null in either column is null.

    Args:
        column: Column of the log with the earlier times, such as that of the creation of an item.
        at: Column with the times at which the age is measured, such as that of the request.
        unit: Unit of integers in both columns: `"s"`, `"ms"` or `"us"`. `None` refuses integers.
        zoned: Whether the times have a zone, as integers do; `None` means that `fit` finds it.

    Raises:
        ValueError: If an argument is invalid.

    >>> age = Numeric("age", column=Age("created", at="time"), transform="none")
    >>> log = {"created": ["2024-02-28"], "time": ["2024-03-01T00:00:01"]}
    >>> Preprocessor(fit([age], log))(log)["age"].tolist()
    [172801.0]
    """

    of_columns: ClassVar[tuple[str, ...]] = ("column", "at")

    at: str

    def __post_init__(self):
        super().__post_init__()
        if self.column == self.at:
            raise ValueError(
                f"`column` and `at` of an Age must be different columns. Received: {self.at!r} twice"
            )
