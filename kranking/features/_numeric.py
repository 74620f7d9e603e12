"""Declaration of a numeric column."""

import math
from dataclasses import KW_ONLY, dataclass
from itertools import pairwise
from typing import Any, ClassVar

from kranking._core import check_choice, check_number, check_positive_int
from kranking.features._age import Age
from kranking.features._feature import (
    MAX_WIDTH,
    Feature,
    InputSpec,
    check_table,
    default_embedding_dim,
    not_fitted,
)
from kranking.features._time_part import TimePart

TRANSFORMS = ("standardize", "log", "scale", "bucketize", "none")


@dataclass(frozen=True, repr=False)
class Numeric(Feature):
    """A column of numbers, normalized to one float, or bucketized with one embedding row per bucket.

    `standardize`: `(x − mean) / std`. `log`: the same for `sign(x) · ln(1 + |x|)`. `scale`:
    `(x − low) / (high − low)` with the given `bounds`. `bucketize`: row `1 + #{boundaries ≤ x}` of a
    table, row 0 for null. `none`: the raw number. `bounds` clips the values before any transform. What
    leaves the range ±2⁶³ is bounded to it after the transform, so that a finite number never becomes NaN.

    Args:
        name: Name of the feature, of its field and of its model input.
        side: `"user"`, `"item"` or `"context"`.
        column: Column of the log; `None` reads the column called `name`. An `Age` or a `TimePart` is
            computed from columns of times.
        transform: `"standardize"`, `"log"`, `"scale"`, `"bucketize"` or `"none"`.
        bounds: `(low, high)`; values outside are clipped. Required by `"scale"`.
        nulls: Treatment of null, NaN and infinity: `"refuse"` raises an error that names the row,
            `"mean"` uses the learned mean, a number is used as the value. With `"bucketize"` they
            always have row 0.
        mean: Mean of the values, for `"log"` of the logarithms; `None` means that `fit` learns it.
        std: Standard deviation, likewise.
        num_buckets: Number of buckets of equal mass to learn, at most 65,536.
        boundaries: Increasing bucket boundaries; `None` means that `fit` learns them.
        embedding_dim: Width of a bucketized field; `None` means `default_embedding_dim`.
        l2_normalize: Whether to scale a bucketized field to unit length.
        initializer: Keras initializer of the bucket table.
        regularizer: Keras regularizer of the bucket table.

    Raises:
        ValueError: If an argument is invalid or arguments exclude each other.

    >>> Numeric("age", transform="bucketize", boundaries=(18, 30, 50)).num_rows
    5
    """

    kind: ClassVar[str] = "numeric"
    takes: ClassVar[tuple[type, ...]] = (Age, TimePart)

    _: KW_ONLY
    transform: str = "standardize"
    bounds: tuple[float, float] | None = None
    nulls: str | float = "refuse"
    mean: float | None = None
    std: float | None = None
    num_buckets: int = 16
    boundaries: tuple[float, ...] | None = None
    embedding_dim: int | None = None
    l2_normalize: bool = False
    initializer: Any = "uniform"
    regularizer: Any = None

    def __post_init__(self):
        super().__post_init__()
        check_choice("transform", self.transform, TRANSFORMS)
        check_positive_int("num_buckets", self.num_buckets, minimum=2, maximum=MAX_WIDTH)
        check_positive_int("embedding_dim", self.embedding_dim, optional=True, maximum=MAX_WIDTH)
        check_table(self)
        if not isinstance(self.nulls, str):
            check_number("nulls", self.nulls)
        else:
            check_choice("nulls", self.nulls, ("refuse", "mean"))
        check_number("mean", self.mean, optional=True)
        check_number("std", self.std, low=0.0, optional=True)
        self._check_bounds()
        if self.boundaries is not None:
            self._check_boundaries()
        if self.nulls == "mean" and self.transform == "scale":
            raise ValueError(
                f"Feature {self.name!r} with `scale` has no mean: `nulls` must be 'refuse' or a number."
            )

    def _check_bounds(self):
        if self.bounds is None:
            if self.transform == "scale":
                raise ValueError(
                    f"Feature {self.name!r} with `scale` requires `bounds`. Received: bounds=None"
                )
            return
        bounds = _floats(self.bounds)
        good = len(bounds) == 2 and bounds[0] < bounds[1]
        if not good or not math.isfinite(bounds[1] - bounds[0]):  # else it would divide by infinity
            raise ValueError(
                f"`bounds` of feature {self.name!r} must be two finite numbers, low < high, and their "
                "difference finite. "
                f"Received: bounds={self.bounds!r}"
            )
        object.__setattr__(self, "bounds", bounds)

    def _check_boundaries(self):
        boundaries = _floats(self.boundaries)
        rising = all(a < b for a, b in pairwise(boundaries)) and all(map(math.isfinite, boundaries))
        if not boundaries or not rising:
            raise ValueError(
                f"`boundaries` of feature {self.name!r} must be finite, increasing and not empty. "
                f"Received: boundaries={self.boundaries!r}"
            )
        object.__setattr__(self, "boundaries", boundaries)

    @property
    def bucketized(self) -> bool:
        """Whether the field is a row of a table."""
        return self.transform == "bucketize"

    @property
    def fitted(self) -> bool:
        """Whether the required moments or boundaries are known, and whether times have a zone."""
        if not super().fitted:
            return False
        if self.bucketized:
            return self.boundaries is not None
        if self.transform in ("standardize", "log"):
            return self.mean is not None and self.std is not None
        return self.nulls != "mean" or self.mean is not None

    @property
    def num_rows(self) -> int:
        """Number of rows in the table of a bucketized feature, including the row of nulls."""
        if self.boundaries is None:
            raise not_fitted(self)
        return 2 + len(self.boundaries)

    @property
    def width(self) -> int:
        """Width of the field."""
        if not self.bucketized:
            return 1
        return self.embedding_dim or default_embedding_dim(self.num_rows)

    def inputs(self) -> dict[str, InputSpec]:
        """Returns one input: a table row if bucketized, otherwise the normalized number."""
        return {self.name: InputSpec((), "int32" if self.bucketized else "float32")}


def _floats(values: Any) -> tuple[float, ...]:
    """Converts numbers to floats; empty if they are not numbers, which the caller rejects."""
    try:
        return tuple(float(v) for v in values)
    except (TypeError, ValueError):
        return ()
