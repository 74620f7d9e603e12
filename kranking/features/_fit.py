"""Learning of vocabularies, moments and boundaries from a log in one streaming pass."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

import pyarrow as pa

from kranking.features._columns import Origin, as_arrow, check_lengths, check_type, require
from kranking.features._feature import Feature
from kranking.features._files import Paths, find_files, open_parquet
from kranking.features._learners import learner_of
from kranking.features._schema import check_features


def fit(
    features: Iterable[Feature],
    data: Paths | Mapping[str, Any],
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
        data: Parquet files (path, folder, glob, or a list of these), or a mapping of columns in memory.
        batch_rows: Number of rows in a block.
        seed: Seed of the sample for boundaries.

    Returns:
        The fitted declarations, in the same order.

    Raises:
        ValueError: If a column is missing or has a wrong type, or the log has no rows.

    >>> fit([Categorical("country")], {"country": ["DE", "FR", "DE"]})[0].vocabulary
    ('DE', 'FR')
    """
    features = list(features)
    check_features(features)
    columns = list(dict.fromkeys(c for f in features for c in f.columns))
    learners = [learner_of(feature, seed) for feature in features]
    rows = 0
    for block, origin in _blocks(data, columns, batch_rows):
        for feature in features:
            for column in feature.columns:
                require(feature, column, block, origin)
        for feature, learner in zip(features, learners):
            for column in feature.columns:
                check_type(feature, column, block[column].type, origin)
            learner.update(block, origin)
        rows += check_lengths(block)
    if not rows:
        where = "the given columns" if isinstance(data, Mapping) else repr(data)
        raise ValueError(f"`data` must contain rows to learn from. Received: no rows in {where}")
    return [learner.finish() for learner in learners]


def _blocks(
    data: Paths | Mapping[str, Any], columns: list[str], batch_rows: int
) -> Iterator[tuple[dict[str, pa.Array], Origin]]:
    if isinstance(data, Mapping):
        data = cast(Mapping[str, Any], data)
        complete = all(c in data for c in columns)
        names = columns if complete else list(data)  # all of them, for the message
        yield {n: as_arrow(data[n], n) if complete else pa.array([]) for n in names}, Origin()
        return
    for file in find_files(data):
        parquet = open_parquet(file)
        present = [c for c in columns if c in parquet.schema_arrow.names]
        if len(present) < len(columns):
            yield (
                {
                    n: pa.array([], parquet.schema_arrow.field(n).type)
                    for n in parquet.schema_arrow.names
                },
                Origin(file),
            )
        first = 0
        try:
            for batch in parquet.iter_batches(batch_rows, columns=present):
                yield dict(zip(batch.schema.names, batch.columns)), Origin(file, first)
                first += batch.num_rows
        except (pa.ArrowInvalid, OSError) as error:
            raise ValueError(f"{file!r} cannot be read after row {first}: {error}") from error
