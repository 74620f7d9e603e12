"""Base class and shared checks of the feature declarations."""

import math
from dataclasses import KW_ONLY, dataclass, field, fields
from typing import Any, ClassVar, NamedTuple

import keras

from kranking._core import check_choice
from kranking.features._age import Age
from kranking.features._time_part import TimePart
from kranking.features._times import Times

SIDES = ("user", "item", "context")

# A request takes as much memory as its declarations say, which may come from a file: they are bounded in
# training, in files and in requests alike (ADR 30).
MAX_LENGTH = 100_000  # values of a list
MAX_WIDTH = 65_536  # numbers of a vector
MAX_BUCKETS = 1_000_000_000  # rows of a table are 32-bit integers
MAX_ROW_VALUES = 50_000_000  # numbers of a row of the log; 200 MB


class InputSpec(NamedTuple):
    """Shape, without the batch axis, and dtype of a model input."""

    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True, repr=False)
class Feature:
    """Base class of feature declarations: a name, a side, and a column of the log.

    Args:
        name: Name of the feature, of its field and of its model input. Any non-empty string.
        side: The entity that the value belongs to: `"user"`, `"item"` or `"context"`.
        column: Column of the log. `None` reads the column called `name`. A `TimePart` or an `Age`, where
            the declaration takes it, is computed from columns of times.
    """

    kind: ClassVar[str] = "field"
    takes: ClassVar[tuple[type, ...]] = ()  # what `column` can be, other than a name

    name: str
    _: KW_ONLY
    side: str = "context"
    column: str | Times | None = None
    observed: dict[str, int] | None = field(default=None, compare=False, repr=False)

    def __post_init__(self):
        if not isinstance(self.name, str) or not self.name:
            raise ValueError(f"`name` must be a non-empty string. Received: name={self.name!r}")
        check_choice("side", self.side, SIDES)
        if isinstance(self.column, dict):
            object.__setattr__(self, "column", times_from(self.column))
        if self.column is not None and not isinstance(self.column, (str, *self.takes)):
            kinds = " or ".join(["the name of a column", *(kind.__name__ for kind in self.takes)])
            raise ValueError(
                f"`column` of feature {self.name!r} must be {kinds}. Received: column={self.column!r}"
            )

    def __repr__(self):
        # Only arguments that differ from their defaults, shortened: vocabularies can have a million values.
        said = ((f.name, getattr(self, f.name), f.default) for f in fields(self) if f.repr)
        obvious = getattr(self.times, "values", None)  # the vocabulary of a part of times
        parts = [
            f"{name}={_short(value)}"
            for name, value, default in said
            if value not in (default, obvious)
        ]
        return f"{type(self).__name__}({', '.join([repr(self.name), *parts[1:]])})"

    @property
    def source(self) -> str:
        """The column of the log with the values, or the first of those that they are computed from."""
        return self.columns[0]

    @property
    def times(self) -> Times | None:
        """What the values are computed from, if these are times."""
        return self.column if isinstance(self.column, Times) else None

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns of the log that this feature reads."""
        if self.times is not None:
            return self.times.columns
        return (str(self.column or self.name),)

    @property
    def fitted(self) -> bool:
        """Whether there is nothing left to learn from a log."""
        return self.times is None or self.times.zoned is not None

    @property
    def width(self) -> int:
        """Width of the field of the feature."""
        raise NotImplementedError(f"{type(self).__name__} must define `width`")

    def inputs(self) -> dict[str, InputSpec]:
        """Returns the model inputs of this feature by name."""
        raise NotImplementedError(f"{type(self).__name__} must define `inputs`")


def times_config(times: Times) -> dict[str, Any]:
    """Returns a `TimePart` or `Age` as a JSON-serializable dict without defaults."""
    return {"kind": type(times).__name__, **times.arguments()}


def times_from(config: dict[str, Any]) -> Times:
    """Creates a `TimePart` or `Age` from the output of `times_config`."""
    arguments = dict(config)
    kind = {c.__name__: c for c in (TimePart, Age)}.get(arguments.pop("kind", ""))
    if kind is None or not set(arguments) <= {f.name for f in fields(kind)}:
        raise ValueError(
            "`column` must be a name, or the configuration of a TimePart or Age. "
            f"Received: {config}. The declaration may be from another version of kranking."
        )
    return kind(**arguments)


def _short(value: Any) -> str:
    if isinstance(value, tuple) and len(value) > 6:
        return f"({', '.join(map(repr, value[:3]))}, … {len(value)} values)"
    return repr(value)


def serialize_attribute(feature: Feature, attribute: str, serialize: Any) -> None:
    """Replaces a Keras object in a frozen declaration by its configuration."""
    value = getattr(feature, attribute)
    if value is not None and not isinstance(value, str | dict):
        object.__setattr__(feature, attribute, serialize(value))


def check_table(feature: Any) -> None:
    """Checks the initializer and regularizer of a declaration with a table or a projection."""
    serialize_attribute(feature, "initializer", keras.initializers.serialize)
    serialize_attribute(feature, "regularizer", keras.regularizers.serialize)
    try:
        keras.initializers.get(feature.initializer)
        keras.regularizers.get(feature.regularizer)
    except Exception as error:
        raise ValueError(
            f"Feature {feature.name!r} must have a Keras initializer, and a Keras regularizer or None. "
            f"Received: initializer={feature.initializer!r}, regularizer={feature.regularizer!r}"
        ) from error


def default_embedding_dim(cardinality: int) -> int:
    """Returns an embedding width for a number of values: a power of two near `6 · V^(1/4)`.

    The fourth root grows slowly with the cardinality V, and rounding to powers of two lets many fields
    share one lookup. The width is at least 4, at most 64, and at most V rounded up to a power of two.

    Args:
        cardinality: Number of values V.

    >>> [default_embedding_dim(v) for v in (2, 30, 1_000, 1_000_000)]
    [4, 16, 32, 64]
    """
    power = max(
        2, min(6, round(math.log2(6 * cardinality**0.25)), max(2, (cardinality - 1).bit_length()))
    )
    return 2**power


def not_fitted(feature: Feature) -> ValueError:
    """Returns the error for using a declaration that is not fitted."""
    return ValueError(
        f"Feature {feature.name!r} is not fitted. Call "
        "`features = kranking.features.fit(features, paths)` first, or pass the values to be learned."
    )
