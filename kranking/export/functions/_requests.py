"""Seeded requests: the input tensors of each signature of a bundle."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from kranking._rows import as_arrow
from kranking.export.functions._raw_rows import log_columns
from kranking.export.functions._served_function import (
    RANK,
    SERVE,
    is_of_request,
    names_on_columns,
    rank_parts,
    tower_part,
)
from kranking.features import Age, Feature, RawColumns
from kranking.features import Sequence as History
from kranking.features.internal import read_columns


def random_columns(features: Sequence[Feature], rows: int, seed: int = 0) -> dict[str, pa.Array]:
    """Returns random columns of one request: one user and context, `rows` candidates."""
    columns = log_columns(features, rows, np.random.default_rng(seed))
    once = {column for f in features if is_of_request(f) for column in f.columns}
    first = pa.array(np.zeros(rows, np.int64))
    return {name: c.take(first) if name in once else c for name, c in columns.items()}


class Requests:
    """Input tensors of the signatures of a model, on rows.

    What follows from the declarations alone is computed once: most requests have one row.

    Args:
        features: The fitted declarations of the model.
    """

    def __init__(self, features: Sequence[Feature]):
        self.features = list(features)
        self._names = names_on_columns(self.features)

    @cached_property
    def _serve(self) -> RawColumns:
        return RawColumns(self.features)

    @cached_property
    def _tower(self) -> RawColumns:
        return tower_part(self.features).columns

    @cached_property
    def _rank(self) -> tuple[RawColumns, RawColumns]:
        once, each = rank_parts(self.features)
        return once.columns, each.columns

    def tensors(self, name: str, rows: Any) -> dict[str, np.ndarray]:
        """Returns the tensors of a signature; `rank` reads one row of the request columns."""
        if name not in self._names:
            raise ValueError(
                f"`name` must be a signature that the features allow, {list(self._names)}. "
                f"Received: name={name!r}"
            )
        columns = read_columns(rows, self.features)  # once, although `rank` takes two parts of them
        if name != RANK:
            return (self._serve if name == SERVE else self._tower)(columns)
        once, each = self._rank
        request = {n: x[:1] for n, x in once(columns).items()}
        if not all(map(len, request.values())):
            raise ValueError("`rows` must have at least one row for `rank`. Received: 0 rows")
        return {**request, **each(columns)}

    def rank_tensors(self, request: Any, items: Any) -> dict[str, np.ndarray]:
        """Returns the tensors of `rank` for one row of a request and the rows of its candidates.

        The time of the request, at which features of items measure ages, is repeated for each candidate.
        """
        once, each = self._rank
        names = dict.fromkeys(column for f in each.features for column in f.columns)
        if (
            isinstance(items, list | tuple) and not items
        ):  # a list of dicts without any has no columns
            items = {column: [] for column in names}
        given = dict(read_columns(items, each.features, each.tables.values()))
        of_request = read_columns(request, self.features)
        count = next((len(as_arrow(given[name], name)) for name in names if name in given), None)
        for name in {time for f in each.features for time in _reference_times(f)}:
            if count is not None and name not in given and name in of_request:
                value = as_arrow(of_request[name], name)[:1]
                given[name] = value.take(pa.array(np.zeros(count if len(value) else 0, np.int64)))
        return {**once(of_request), **each(given)}


def _reference_times(feature: Any) -> tuple[str, ...]:
    """Returns the column of the time at which the ages of a feature are measured."""
    if isinstance(feature.times, Age):
        return (feature.times.at,)
    time = feature.request_time if isinstance(feature, History) else None
    return () if time is None else (time,)
