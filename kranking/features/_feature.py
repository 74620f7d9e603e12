"""Base class and shared checks of the feature declarations."""

import math
from dataclasses import KW_ONLY, dataclass, field, fields
from typing import Any, ClassVar, NamedTuple

import keras

from kranking._core import check_choice

SIDES = ("user", "item", "context")


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
        column: Column of the log. `None` reads the column called `name`.
    """

    kind: ClassVar[str] = "field"

    name: str
    _: KW_ONLY
    side: str = "context"
    column: str | None = None
    observed: dict[str, int] | None = field(default=None, compare=False, repr=False)

    def __post_init__(self):
        if not isinstance(self.name, str) or not self.name:
            raise ValueError(f"`name` must be a non-empty string. Received: name={self.name!r}")
        check_choice("side", self.side, SIDES)

    def __repr__(self):
        # Only arguments that differ from their defaults, shortened: vocabularies can have a million values.
        said = ((f.name, getattr(self, f.name), f.default) for f in fields(self) if f.repr)
        parts = [f"{name}={_short(value)}" for name, value, default in said if value != default]
        return f"{type(self).__name__}({', '.join([repr(self.name), *parts[1:]])})"

    @property
    def source(self) -> str:
        """The column of the log with the values."""
        return self.column or self.name

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns of the log that this feature reads."""
        return (self.source,)

    @property
    def fitted(self) -> bool:
        """Whether there is nothing left to learn from a log."""
        return True

    @property
    def width(self) -> int:
        """Width of the field of the feature."""
        raise NotImplementedError(f"{type(self).__name__} must define `width`")

    def inputs(self) -> dict[str, InputSpec]:
        """Returns the model inputs of this feature by name."""
        raise NotImplementedError(f"{type(self).__name__} must define `inputs`")


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
