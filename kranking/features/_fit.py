"""Learns vocabularies, moments and boundaries from a log in one streaming pass."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kranking.features._categorical import Categorical
from kranking.features._columns import (
    Origin,
    as_arrow,
    check_type,
    list_parts,
    numbers,
    split_strings,
)
from kranking.features._feature import Feature
from kranking.features._files import Paths, find_files, open_parquet
from kranking.features._numeric import Numeric
from kranking.features._schema import check_features
from kranking.features._sequence import Sequence

_SAMPLE = 200_000  # values kept for boundaries: a quantile's rank is then off by about 0.1 %


def fit(
    features: Iterable[Feature],
    data: Paths | Mapping[str, Any],
    *,
    batch_rows: int = 65_536,
    seed: int = 0,
) -> list[Feature]:
    """Gives the declarations with everything learnt that was left to learn.

    One pass over the files, block by block: memory holds one block, the counts of distinct values, and a
    seeded sample for boundaries. What is given (a vocabulary, bounds, moments) stays as given. Each
    declaration comes back with `observed`: rows, nulls, and values out of vocabulary.

    Args:
        features: Declarations.
        data: Parquet files (path, folder, glob, or a list), or a mapping of columns in memory.
        batch_rows: Rows read at a time.
        seed: Seed of the sample that boundaries are taken from.

    Raises:
        ValueError: For a column that is missing or of the wrong type, and for a log without rows.

    >>> fit([Categorical("country")], {"country": ["DE", "FR", "DE"]})[0].vocabulary
    ('DE', 'FR')
    """
    features = list(features)
    check_features(features)
    columns = list(dict.fromkeys(c for f in features for c in f.columns))
    learners = [_learner(feature, seed) for feature in features]
    rows = 0
    for block, origin in _blocks(data, columns, batch_rows):
        for feature, learner in zip(features, learners):
            for column in feature.columns:
                if column not in block:
                    raise ValueError(
                        f"Feature {feature.name!r} needs column {column!r}, which {origin.file} does not "
                        f"have. Received: {sorted(block)}"
                    )
                check_type(feature, column, block[column].type, origin)
            learner.update(block)
        rows += len(next(iter(block.values())))
    if not rows:
        raise ValueError(f"`data` must hold rows to learn from. Received: none in {data!r}")
    return [learner.finish() for learner in learners]


def _blocks(
    data: Paths | Mapping[str, Any], columns: list[str], batch_rows: int
) -> Iterator[tuple[dict[str, pa.Array], Origin]]:
    if isinstance(data, Mapping):
        yield {name: as_arrow(column) for name, column in data.items()}, Origin()
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


def _learner(feature: Feature, seed: int) -> Any:
    if isinstance(feature, Categorical):
        return _Vocabulary(feature)
    if isinstance(feature, Numeric):
        return _Moments(feature, seed)
    if isinstance(feature, Sequence):
        return _Actions(feature)
    return _Nulls(feature)


class _Nulls:
    """Learns nothing; counts rows and nulls."""

    def __init__(self, feature: Any):
        self.feature = feature
        self.rows = self.nulls = 0

    def update(self, block: Mapping[str, pa.Array]) -> None:
        array = block[self.feature.source]
        self.rows += len(array)
        self.nulls += array.null_count

    def finish(self) -> Any:
        return replace(self.feature, observed=self.observed())

    def observed(self, unknown: int = 0) -> dict[str, int]:
        return {"rows": self.rows, "nulls": self.nulls, "out_of_vocabulary": unknown}


def _add_counts(counter: Counter, values: pa.Array) -> None:
    if pa.types.is_boolean(values.type):
        values = values.cast(pa.int8())
    counts = pc.value_counts(values)  # pyright: ignore
    for value, count in zip(counts.field(0).to_pylist(), counts.field(1).to_pylist()):
        counter[value] += count


def _most_common(counter: Counter, min_count: int, max_size: int | None) -> tuple[Any, ...]:
    # "" and the least integers stand for null in served requests, so no row is learnt for them.
    nulls = (None, "", -(2**31), -(2**63))
    kept = [(v, n) for v, n in counter.items() if v not in nulls and n >= min_count]
    kept.sort(key=lambda pair: (-pair[1], pair[0]))
    return tuple(v for v, _ in kept[:max_size])


class _Vocabulary(_Nulls):
    """Counts the values of a categorical."""

    feature: Categorical

    def __init__(self, feature: Categorical):
        super().__init__(feature)
        self.counter: Counter = Counter()

    def update(self, block: Mapping[str, pa.Array]) -> None:
        super().update(block)
        if self.feature.hash_buckets is not None:
            return
        values = block[self.feature.source]
        if self.feature.separator is not None:
            values = split_strings(values, self.feature.separator)
        _add_counts(self.counter, list_parts(values)[0] if self.feature.multivalued else values)

    def finish(self) -> Categorical:
        feature = self.feature
        if not feature.fitted:
            learnt = _most_common(self.counter, feature.min_count, feature.max_size)
            feature = replace(feature, vocabulary=learnt)
        known = set(feature.vocabulary or ())
        unknown = sum(n for v, n in self.counter.items() if v is not None and v not in known)
        return replace(feature, observed=self.observed(unknown))


class _Actions(_Nulls):
    """Counts the actions of a sequence."""

    feature: Sequence

    def __init__(self, feature: Sequence):
        super().__init__(feature)
        self.counter: Counter = Counter()

    def update(self, block: Mapping[str, pa.Array]) -> None:
        super().update(block)
        if self.feature.action is not None:
            _add_counts(self.counter, list_parts(block[self.feature.action])[0])

    def finish(self) -> Sequence:
        feature = self.feature
        if not feature.fitted:
            feature = replace(feature, action_vocabulary=_most_common(self.counter, 1, None))
        return replace(feature, observed=self.observed())


class _Moments(_Nulls):
    """Merges moments block by block (Chan's update), and keeps a uniform sample for boundaries."""

    feature: Numeric

    def __init__(self, feature: Numeric, seed: int):
        super().__init__(feature)
        self.count, self.mean, self.squares = 0, 0.0, 0.0
        self.random = np.random.default_rng(seed)
        self.sample, self.keys = np.empty(0), np.empty(0)

    def update(self, block: Mapping[str, pa.Array]) -> None:
        values = numbers(block[self.feature.source])
        good = values[np.isfinite(values)]
        self.rows += len(values)
        self.nulls += len(values) - len(good)
        if self.feature.bounds is not None:
            good = np.clip(good, *self.feature.bounds)
        if not len(good):
            return
        if self.feature.bucketized:
            self._keep(good)
            return
        if self.feature.transform == "log":
            good = np.sign(good) * np.log1p(np.abs(good))
        total = self.count + len(good)
        shift = good.mean() - self.mean
        self.squares += ((good - good.mean()) ** 2).sum() + shift**2 * self.count * len(
            good
        ) / total
        self.mean += shift * len(good) / total
        self.count = total

    def _keep(self, values: np.ndarray) -> None:
        # The values with the smallest random keys are a uniform sample of all seen so far.
        self.sample = np.concatenate([self.sample, values])
        self.keys = np.concatenate([self.keys, self.random.random(len(values))])
        if len(self.keys) > _SAMPLE:
            kept = np.argpartition(self.keys, _SAMPLE)[:_SAMPLE]
            self.sample, self.keys = self.sample[kept], self.keys[kept]

    def finish(self) -> Numeric:
        feature = self.feature
        if not feature.fitted:
            if not self.count and not len(self.sample):
                raise ValueError(
                    f"Feature {feature.name!r} has no finite value to learn from in column "
                    f"{feature.source!r}. Received: {self.nulls} nulls in {self.rows} rows"
                )
            feature = replace(feature, **self._learnt())
        return replace(feature, observed=self.observed())

    def _learnt(self) -> dict[str, Any]:
        feature = self.feature
        if feature.bucketized:
            ranks = np.arange(1, feature.num_buckets) / feature.num_buckets
            return {"boundaries": tuple(np.unique(np.quantile(self.sample, ranks)).tolist())}
        std = float(np.sqrt(self.squares / self.count))
        learnt = {"mean": float(self.mean), "std": std}
        given = {"mean": feature.mean, "std": feature.std}
        learnt.update({k: v for k, v in given.items() if v is not None})
        return learnt if feature.transform in ("standardize", "log") else {"mean": learnt["mean"]}
