"""Model inputs as arrays, and named batches of them."""

import dataclasses

import numpy as np

Rows = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Case:
    """A named batch of rows; `rows` maps input names to arrays of equal length."""

    name: str
    rows: Rows

    @property
    def size(self) -> int:
        """Number of rows."""
        return len(next(iter(self.rows.values())))
