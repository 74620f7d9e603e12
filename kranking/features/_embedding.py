"""Declaration of a column of vectors."""

from dataclasses import KW_ONLY, dataclass
from typing import Any

from kranking._core import check_choice, check_positive_int
from kranking.features._feature import MAX_WIDTH, Feature, InputSpec, check_table


@dataclass(frozen=True, repr=False)
class Embedding(Feature):
    """A column of precomputed vectors, such as image embeddings, optionally projected.

    Args:
        name: Name of the feature, of its field and of its model input.
        dim: Width of the vectors in the log, at most 65,536.
        side: `"user"`, `"item"` or `"context"`.
        column: Column of the log; `None` reads the column called `name`.
        project_to: Width of a learned linear projection without bias; `None` for no projection.
        nulls: Treatment of null: `"refuse"` raises an error that names the row, `"zeros"` uses zeros.
        l2_normalize: Whether to scale the field, after the projection, to unit length.
        initializer: Keras initializer of the projection.
        regularizer: Keras regularizer of the projection.

    >>> Embedding("cover", dim=256, project_to=64, side="item").width
    64
    """

    _: KW_ONLY
    dim: int
    project_to: int | None = None
    nulls: str = "refuse"
    l2_normalize: bool = False
    initializer: Any = "glorot_uniform"
    regularizer: Any = None

    def __post_init__(self):
        super().__post_init__()
        check_positive_int("dim", self.dim, maximum=MAX_WIDTH)
        check_positive_int("project_to", self.project_to, optional=True, maximum=MAX_WIDTH)
        check_choice("nulls", self.nulls, ("refuse", "zeros"))
        check_table(self)

    @property
    def width(self) -> int:
        """Width of the field."""
        return self.project_to or self.dim

    def inputs(self) -> dict[str, InputSpec]:
        """Returns one input, the vector."""
        return {self.name: InputSpec((self.dim,), "float32")}
