"""Learning of vocabularies, moments and boundaries from a log in one streaming pass."""

from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from kranking._core import as_tuple
from kranking._rows import Origin, as_arrow, open_rows
from kranking.features._column_types import column_types
from kranking.features._columns import check_type, require, typed_nulls
from kranking.features._feature import Feature
from kranking.features._learners import learner_of
from kranking.features._schema import check_features


def fit(
    features: Iterable[Feature],
    data: Any,
    *,
    batch_rows: int = 65_536,
    seed: int = 0,
) -> list[Feature]:
    """Returns fitted declarations: learns vocabularies, moments and boundaries from a log.

    Reads the files once, block by block. Memory contains one block, the counts of distinct values, and a
    seeded sample for boundaries. Values that are given (a vocabulary, bounds, moments) are not changed. The
    returned declarations have `observed`: counts of rows, nulls and values out of vocabulary.

    Args:
        features: Feature declarations.
        data: Rows: a dict of columns, an Arrow table, a pandas or polars frame, a list of dicts, or
            Parquet or CSV files (path, folder, glob, URL, or a list of these).
        batch_rows: Number of rows in a block.
        seed: Seed of the sample for boundaries.

    Returns:
        The fitted declarations, in the same order.

    Raises:
        ValueError: If a column is missing or has a wrong type, or the log has no rows.

    >>> fit([Categorical("country")], {"country": ["DE", "FR", "DE"]})[0].vocabulary
    ('DE', 'FR')
    """
    features = list(as_tuple("features", features, "declarations"))
    check_features(features)
    columns = list(dict.fromkeys(c for f in features for c in f.columns))
    learners = [learner_of(feature, seed) for feature in features]
    source = open_rows(data, columns, declared=column_types(features))
    for file in source.files:
        _check_schema(features, source.schemas[file], Origin(file))
    for unit in source.units:
        for batch, origin in source.read(unit, columns, batch_rows):
            block = {name: as_arrow(batch.column(name), name) for name in columns}
            for feature, learner in zip(features, learners):
                own = {name: typed_nulls(feature, name, block[name]) for name in feature.columns}
                learner.update(own, origin)
    if not source.units:
        raise ValueError(
            f"`data` must contain rows to learn from. Received: no rows in {source.files[:5]}"
        )
    return [learner.finish() for learner in learners]


def _check_schema(features: Iterable[Feature], schema: pa.Schema, origin: Origin) -> None:
    for feature in features:
        for column in feature.columns:
            require(feature, column, schema.names, origin)
    for feature in features:
        for column in feature.columns:
            check_type(feature, column, schema.field(column).type, origin)
