"""Declaration of a categorical column."""

from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

from kranking._core import check_choice, check_positive_int
from kranking.features._feature import (
    MAX_BUCKETS,
    MAX_LENGTH,
    MAX_WIDTH,
    Feature,
    InputSpec,
    check_table,
    default_embedding_dim,
    not_fitted,
)
from kranking.features._ids import DTYPES, dtype_of
from kranking.features._time_part import TimePart

# Values that mean null in served requests, whose tensors have no null: "" and the smallest integers.
NULLS = (None, "", -(2**31), -(2**63))


@dataclass(frozen=True, repr=False)
class Categorical(Feature):
    """A column of ids, strings or integers, with one embedding row per value.

    Row 0 of the table is used for all values outside the vocabulary, including null; the values of the
    vocabulary have the rows from 1, most frequent first. With `hash_buckets`, the row of a value is
    `1 + hash(value) mod hash_buckets` instead, and nothing is learned. "" and the smallest 32-bit and
    64-bit integers are treated as null, since the tensors of a served request cannot represent null.

    Ids have one kind, that of the vocabulary or the one that `fit` finds. The other kind is converted where
    that is exact, "7" for 7 and 7 or 7.0 for "7", and otherwise refused: "007" is not 7.

    Args:
        name: Name of the feature, of its field and of its model input.
        side: `"user"`, `"item"` or `"context"`.
        column: Column of the log; `None` reads the column called `name`. With a `TimePart` of a column of
            times, the vocabulary is all values of that part.
        vocabulary: The values, all strings or all integers. `None` means that `fit` learns them.
        min_count: Minimum count of a value in a learned vocabulary.
        max_size: Maximum size of a learned vocabulary, which keeps the most frequent values.
        hash_buckets: Number of hash buckets, instead of a vocabulary; at most 10⁹.
        dtype: Kind of the ids, `"int64"` or `"string"`; `None` means that of the vocabulary, or the one
            that `fit` finds. Before `fit`, a hashed feature takes both, with one row for 7 and "7".
            Declarations saved without a kind have `"by_type"`: 7 and "7" have different rows.
        max_length: Makes the feature multi-valued: lists are truncated or padded to this length, at most
            100,000.
        separator: Separator that splits strings into values, such as `","`. Requires `max_length`.
        pooling: Pooling over several values: `"mean"`, `"sum"` or `"max"`.
        embedding_dim: Width of the field; `None` means `default_embedding_dim` of the number of rows.
        l2_normalize: Whether to scale the field to unit length.
        initializer: Keras initializer of the table.
        regularizer: Keras regularizer of the table.

    Raises:
        ValueError: If an argument is invalid or arguments exclude each other.

    >>> Categorical("country", side="user", vocabulary=("DE", "FR")).num_rows
    3
    """

    takes: ClassVar[tuple[type, ...]] = (TimePart,)

    _: KW_ONLY
    vocabulary: tuple[Any, ...] | None = None
    min_count: int = 1
    max_size: int | None = None
    hash_buckets: int | None = None
    dtype: str | None = None
    max_length: int | None = None
    separator: str | None = None
    pooling: str = "mean"
    embedding_dim: int | None = None
    l2_normalize: bool = False
    initializer: Any = "uniform"
    regularizer: Any = None

    def __post_init__(self):
        super().__post_init__()
        check_positive_int("min_count", self.min_count)
        check_positive_int("max_size", self.max_size, optional=True)
        check_positive_int("hash_buckets", self.hash_buckets, optional=True, maximum=MAX_BUCKETS)
        check_positive_int("max_length", self.max_length, optional=True, maximum=MAX_LENGTH)
        check_choice("pooling", self.pooling, ("mean", "sum", "max"))
        if self.dtype is not None:
            check_choice("dtype", self.dtype, DTYPES)
        check_positive_int("embedding_dim", self.embedding_dim, optional=True, maximum=MAX_WIDTH)
        check_table(self)
        if self.separator is not None and self.max_length is None:
            raise ValueError(
                f"`separator` of feature {self.name!r} creates lists and requires `max_length`. "
                f"Received: separator={self.separator!r}, max_length=None"
            )
        if self.hash_buckets is not None and self.vocabulary is not None:
            raise ValueError(
                f"Feature {self.name!r} must have either `vocabulary` or `hash_buckets`. Received: both"
            )
        if isinstance(self.column, TimePart):
            self._take_all_values(self.column)
        if self.vocabulary is not None:
            object.__setattr__(self, "vocabulary", _valid_vocabulary(self.name, self.vocabulary))
        if self.dtype is not None and self.vocabulary:
            raise ValueError(
                f"`dtype` of feature {self.name!r} is that of its vocabulary, "
                f"{dtype_of(self.vocabulary)!r}. Received: vocabulary and dtype={self.dtype!r}"
            )

    def _take_all_values(self, times: TimePart):
        given = {
            "hash_buckets": self.hash_buckets,
            "max_length": self.max_length,
            "dtype": self.dtype,
        }
        wrong = {name: value for name, value in given.items() if value is not None}
        if wrong:
            raise ValueError(
                f"Feature {self.name!r} has one of the {len(times.values)} values of {times.part!r} per "
                f"row, and needs no {', '.join(map(repr, wrong))}. Received: {wrong}"
            )
        if self.vocabulary is None:
            object.__setattr__(self, "vocabulary", times.values)
        other = [value for value in self.vocabulary or () if value not in times.values]
        if other:
            raise ValueError(
                f"`vocabulary` of feature {self.name!r} must contain values of {times.part!r}, "
                f"{times.values[0]} to {times.values[-1]}. Received: {other[0]!r}"
            )

    @property
    def id_dtype(self) -> str | None:
        """Kind of the ids, `"int64"` or `"string"`; `None` if it is not known."""
        return dtype_of(self.vocabulary) or self.dtype

    @property
    def fitted(self) -> bool:
        """Whether the number of rows is known, and whether times have a zone."""
        known = self.hash_buckets is not None or self.vocabulary is not None
        return known and super().fitted

    @property
    def multivalued(self) -> bool:
        """Whether a row of the log contains several values."""
        return self.max_length is not None

    @property
    def num_rows(self) -> int:
        """Number of rows in the embedding table, including the out-of-vocabulary row."""
        if self.hash_buckets is None and self.vocabulary is None:
            raise not_fitted(self)
        return 1 + (self.hash_buckets or len(self.vocabulary or ()))

    @property
    def width(self) -> int:
        """Width of the field."""
        return self.embedding_dim or default_embedding_dim(self.num_rows)

    def inputs(self) -> dict[str, InputSpec]:
        """Returns one input of table rows."""
        return {self.name: InputSpec((self.max_length,) if self.max_length else (), "int32")}


def _valid_vocabulary(name: str, values: Any) -> tuple[Any, ...]:
    # A set has another order in another process; the values of a dict would be ignored.
    if isinstance(values, str | Mapping | set | frozenset) or not isinstance(values, Iterable):
        raise ValueError(
            f"`vocabulary` of feature {name!r} must be a list of values. Received: {values!r}"
        )
    values = tuple(v.item() if hasattr(v, "item") else v for v in values)
    kinds = {type(v) for v in values}
    if kinds and kinds not in ({str}, {int}):
        raise ValueError(
            f"`vocabulary` of feature {name!r} must contain only strings or only integers. "
            f"Received: {sorted(k.__name__ for k in kinds)}"
        )
    large = [v for v in values if isinstance(v, int) and not -(2**63) <= v < 2**63]
    if large:
        raise ValueError(
            f"`vocabulary` of feature {name!r} must contain 64-bit integers; larger ids can be strings. "
            f"Received: {large[0]}"
        )
    nulls = [v for v in values if v in NULLS]
    if nulls:
        raise ValueError(
            f"`vocabulary` of feature {name!r} must not contain values that mean null and have row 0: "
            f"'' and the smallest integers. Received: {nulls}"
        )
    if len(set(values)) != len(values):
        twice = next(v for i, v in enumerate(values) if v in values[:i])
        raise ValueError(
            f"`vocabulary` of feature {name!r} must not contain duplicates. Received twice: {twice!r}"
        )
    return values
