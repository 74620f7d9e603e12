"""Rows that go into a model, and batches of them with a name."""

import dataclasses

import numpy as np

Rows = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Case:
    """A batch of rows with a name; `rows` maps model inputs to arrays of one length."""

    name: str
    rows: Rows

    @property
    def size(self) -> int:
        """The number of rows."""
        return len(next(iter(self.rows.values())))
