"""What all declarations of a log's columns share."""

import math
from dataclasses import KW_ONLY, dataclass, field, fields
from typing import Any, ClassVar, NamedTuple

import keras

from kranking._core import check_choice

SIDES = ("user", "item", "context")


class InputSpec(NamedTuple):
    """Shape without the batch axis, and dtype, of one model input."""

    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True, repr=False)
class Feature:
    """Base of every declaration: a name, a side, and the log column it reads.

    Args:
        name: Name of the feature, of its field and of its model input. Any non-empty string.
        side: Who the value belongs to: `"user"`, `"item"` or `"context"`.
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
        # A learnt vocabulary can hold a million values: what is shown is what was said, cut short.
        said = ((f.name, getattr(self, f.name), f.default) for f in fields(self) if f.repr)
        parts = [f"{name}={_short(value)}" for name, value, default in said if value != default]
        return f"{type(self).__name__}({', '.join([repr(self.name), *parts[1:]])})"

    @property
    def source(self) -> str:
        """The log column that holds the value."""
        return self.column or self.name

    @property
    def columns(self) -> tuple[str, ...]:
        """Every log column that this feature reads."""
        return (self.source,)

    @property
    def fitted(self) -> bool:
        """Whether nothing is left to learn from a log."""
        return True

    @property
    def width(self) -> int:
        """Width of the feature's field."""
        raise NotImplementedError(f"{type(self).__name__} does not say how wide its field is")

    def inputs(self) -> dict[str, InputSpec]:
        """Model inputs of this feature, by name."""
        raise NotImplementedError(f"{type(self).__name__} does not say what its inputs are")


def _short(value: Any) -> str:
    if isinstance(value, tuple) and len(value) > 6:
        return f"({', '.join(map(repr, value[:3]))}, … {len(value)} values)"
    return repr(value)


def serialize_attribute(feature: Feature, attribute: str, serialize: Any) -> None:
    """Replaces a Keras object held by a frozen declaration with its configuration."""
    value = getattr(feature, attribute)
    if value is not None and not isinstance(value, str | dict):
        object.__setattr__(feature, attribute, serialize(value))


def check_table(feature: Any) -> None:
    """Checks the weights' arguments of a declaration that owns a table or a projection."""
    serialize_attribute(feature, "initializer", keras.initializers.serialize)
    serialize_attribute(feature, "regularizer", keras.regularizers.serialize)
    try:
        keras.initializers.get(feature.initializer)
        keras.regularizers.get(feature.regularizer)
    except Exception as error:
        raise ValueError(
            f"`initializer` and `regularizer` of feature {feature.name!r} must be what Keras knows. "
            f"Received: initializer={feature.initializer!r}, regularizer={feature.regularizer!r}"
        ) from error


def default_embedding_dim(cardinality: int) -> int:
    """Gives an embedding width from the number of values: a power of two near `6 · V^(1/4)`.

    The fourth-root rule grows slowly with the cardinality; rounding to powers of two lets many
    fields share one lookup. The width is at least 4, at most 64, and no wider than the values need.

    >>> [default_embedding_dim(v) for v in (2, 30, 1_000, 1_000_000)]
    [4, 16, 32, 64]
    """
    power = max(
        2, min(6, round(math.log2(6 * cardinality**0.25)), max(2, (cardinality - 1).bit_length()))
    )
    return 2**power


def not_fitted(feature: Feature) -> ValueError:
    """The error for using a declaration whose statistics have not been learnt."""
    return ValueError(
        f"Feature {feature.name!r} has nothing learnt yet. Call "
        "`features = kranking.features.fit(features, paths)` first, or give what it should learn."
    )
