"""What the declarations of values of times share."""

from dataclasses import KW_ONLY, dataclass, fields
from typing import Any, ClassVar

from kranking._core import check_choice

MICROSECONDS = {"s": 1_000_000, "ms": 1_000, "us": 1}  # per unit


@dataclass(frozen=True, repr=False)
class Times:
    """Base class of what can be computed from columns of times.

    Args:
        column: Column of the log with the times.
        unit: Unit of integers since 1970-01-01 UTC: `"s"`, `"ms"` or `"us"`. `None` refuses integers.
        zoned: Whether the times have a zone, as integers do; `None` means that `fit` finds it.
    """

    of_columns: ClassVar[tuple[str, ...]] = ("column",)  # arguments that name columns

    column: str
    _: KW_ONLY
    unit: str | None = None
    zoned: bool | None = None

    def __post_init__(self):
        kind = type(self).__name__
        for argument in self.of_columns:
            name = getattr(self, argument)
            if not isinstance(name, str) or not name:
                raise ValueError(
                    f"`{argument}` of {kind} must be the name of a column. Received: {argument}={name!r}"
                )
        if self.unit is not None:
            check_choice("unit", self.unit, tuple(MICROSECONDS))
        if not (self.zoned is None or isinstance(self.zoned, bool)):
            raise ValueError(
                f"`zoned` of {kind} must be True, False or None. Received: zoned={self.zoned!r}"
            )

    def __repr__(self) -> str:
        given = self.arguments()
        texts = [repr(given.pop(f.name)) for f in fields(self) if not f.kw_only]
        return f"{type(self).__name__}({', '.join([*texts, *(f'{n}={v!r}' for n, v in given.items())])})"

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the log that are read."""
        return tuple(getattr(self, argument) for argument in self.of_columns)

    @property
    def needs_clock(self) -> bool:
        """Whether nothing can be computed from a date without a time of day."""
        return False

    def arguments(self) -> dict[str, Any]:
        """Returns the arguments that are not `None`, by name."""
        given = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: value for name, value in given.items() if value is not None}
