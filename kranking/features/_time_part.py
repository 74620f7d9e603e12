"""A part of the times of a column, such as the hour."""

from dataclasses import dataclass

from kranking._core import check_choice
from kranking.features._times import Times

PARTS = {
    "hour": range(24),
    "weekday": range(7),
    "hour_of_week": range(168),
    "day_of_month": range(1, 32),
    "month": range(1, 13),
}


@dataclass(frozen=True, repr=False)
class TimePart(Times):
    """A part of the times of a column, an integer: the `column` of a `Categorical` or `Numeric`.

    Times are timestamps or dates of any unit, text in ISO 8601, or integers if `unit` is given. Of times
    with a zone, the part is that of UTC; of times without, it is what their clock shows. A declaration
    that learnt the one refuses the other. Null is null.

    Args:
        column: Column of the log with the times.
        part: `"hour"`, 0 to 23; `"weekday"`, 0 to 6 from Monday; `"hour_of_week"`, 0 to 167 from Monday;
            `"day_of_month"`, 1 to 31; `"month"`, 1 to 12.
        unit: Unit of integers since 1970-01-01 UTC: `"s"`, `"ms"` or `"us"`. `None` refuses integers.
        zoned: Whether the times have a zone, as integers do; `None` means that `fit` finds it.

    Raises:
        ValueError: If an argument is invalid.

    >>> hour = Categorical("hour", column=TimePart("time", "hour"))
    >>> (hour,) = fit([hour], {"time": ["2026-03-01T23:10:00Z", None]})
    >>> hour.num_rows, Preprocessor([hour])({"time": ["1969-12-31T23:59:59Z"]})["hour"].tolist()
    (25, [24])
    """

    part: str

    def __post_init__(self):
        super().__post_init__()
        check_choice("part", self.part, tuple(PARTS))

    @property
    def values(self) -> tuple[int, ...]:
        """All values of the part."""
        return tuple(PARTS[self.part])

    @property
    def needs_clock(self) -> bool:
        """Whether a date without a time of day lacks this part."""
        return self.part in ("hour", "hour_of_week")
