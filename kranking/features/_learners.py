"""Streaming statistics that `fit` collects for each declaration."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kranking.features._categorical import NULLS, Categorical
from kranking.features._columns import FLOAT32_MAX, Origin, list_parts, numbers, split_strings
from kranking.features._feature import Feature
from kranking.features._ids import (
    BY_TYPE,
    INTEGERS,
    TEXT,
    dtype_of,
    is_string,
    null_count,
    to_ids,
)
from kranking.features._numeric import Numeric
from kranking.features._sequence import Sequence
from kranking.features._time_learner import TimeLearner

_SAMPLE = 200_000  # values kept for boundaries; the rank error of a quantile is then about 0.1 %


def learner_of(feature: Feature, seed: int) -> Any:
    """Returns the learner of a feature: `update` reads a block, `finish` returns the declaration."""
    learner = _learner_of_values(feature, seed)
    return learner if feature.times is None else TimeLearner(learner)


def _learner_of_values(feature: Feature, seed: int) -> Any:
    if isinstance(feature, Categorical):
        return _Vocabulary(feature)
    if isinstance(feature, Numeric):
        return _Moments(feature, seed)
    if isinstance(feature, Sequence):
        return _Actions(feature)
    return _Nulls(feature)


class _Nulls:
    """Counts rows and nulls, and learns nothing."""

    def __init__(self, feature: Any):
        self.feature = feature
        self.rows = self.nulls = 0

    def update(self, block: Mapping[str, pa.Array], origin: Origin) -> None:
        array = block[self.feature.source]
        self.rows += len(array)
        self.nulls += array.null_count

    def finish(self) -> Any:
        return replace(self.feature, observed=self.observed())

    def observed(self, unknown: int = 0) -> dict[str, int]:
        return {"rows": self.rows, "nulls": self.nulls, "out_of_vocabulary": unknown}


class _Ids:
    """Converts ids to the kind that is declared, or to that of the first ids."""

    def __init__(self, feature: Feature, column: str, dtype: str | None):
        self.feature, self.column = feature, column
        self.declared = None if dtype == BY_TYPE else dtype
        self.dtype: str | None = None

    def converted(self, values: pa.Array, origin: Origin) -> pa.Array:
        ids = to_ids(values, self.declared, self.column, origin)
        if ids.null_count < len(ids):
            found = TEXT if is_string(ids.type) else INTEGERS
            if self.dtype not in (None, found):
                names = {TEXT: "strings", INTEGERS: "integers"}
                raise ValueError(
                    f"Column {self.column!r} of feature {self.feature.name!r} must contain "
                    f"{names[self.dtype]} like the previous rows. "
                    f"Received: {names[found]} in {origin.file}. "
                    "Declare `dtype='string'` to take all ids as text."
                )
            self.dtype = found
        return ids


class _Counts(_Ids):
    """Counts ids."""

    def __init__(self, feature: Feature, column: str, dtype: str | None):
        super().__init__(feature, column, dtype)
        self.counter: Counter = Counter()

    def add(self, values: pa.Array, origin: Origin) -> None:
        counts = pc.value_counts(self.converted(values, origin))  # pyright: ignore
        for value, count in zip(counts.field(0).to_pylist(), counts.field(1).to_pylist()):
            self.counter[value] += count


def _most_common(counter: Counter, min_count: int, max_size: int | None) -> tuple[Any, ...]:
    kept = [(v, n) for v, n in counter.items() if v not in NULLS and n >= min_count]
    kept.sort(key=lambda pair: (-pair[1], pair[0]))
    return tuple(v for v, _ in kept[:max_size])


class _Vocabulary(_Nulls):
    """Counts the values of a categorical."""

    feature: Categorical

    def __init__(self, feature: Categorical):
        super().__init__(feature)
        self.counts = _Counts(feature, feature.source, feature.id_dtype)

    def update(self, block: Mapping[str, pa.Array], origin: Origin) -> None:
        values = block[self.feature.source]
        self.rows += len(values)
        self.nulls += null_count(values)
        if self.feature.separator is not None:
            values = split_strings(values, self.feature.separator)
        if self.feature.multivalued:
            values = list_parts(values)[0]
        if self.feature.hash_buckets is None:
            self.counts.add(values, origin)
        else:
            self.counts.converted(values, origin)

    def finish(self) -> Categorical:
        feature = self.feature
        if feature.hash_buckets is not None:
            feature = replace(feature, dtype=self.counts.dtype or feature.dtype)
        elif not feature.fitted:
            learnt = _most_common(self.counts.counter, feature.min_count, feature.max_size)
            feature = replace(feature, vocabulary=learnt, dtype=None if learnt else feature.dtype)
        known = set(feature.vocabulary or ())
        counted = self.counts.counter.items()
        unknown = sum(n for v, n in counted if v is not None and v not in known)
        return replace(feature, observed=self.observed(unknown))


class _Actions(_Nulls):
    """Counts the actions of a sequence."""

    feature: Sequence

    def __init__(self, feature: Sequence):
        super().__init__(feature)
        column = feature.action or feature.source
        self.counts = _Counts(feature, column, dtype_of(feature.action_vocabulary))

    def update(self, block: Mapping[str, pa.Array], origin: Origin) -> None:
        super().update(block, origin)
        if self.feature.action is not None:
            self.counts.add(list_parts(block[self.feature.action])[0], origin)

    def finish(self) -> Sequence:
        feature = self.feature
        if not feature.fitted:
            learnt = _most_common(self.counts.counter, 1, None)
            feature = replace(feature, action_vocabulary=learnt)
        return replace(feature, observed=self.observed())


class _Moments(_Nulls):
    """Merges moments of blocks (Chan's update), and keeps a uniform sample for boundaries."""

    feature: Numeric

    def __init__(self, feature: Numeric, seed: int):
        super().__init__(feature)
        self.count, self.mean, self.squares = 0, 0.0, 0.0
        self.low, self.high = np.inf, -np.inf
        self.random = np.random.default_rng(seed)
        self.sample, self.keys = np.empty(0), np.empty(0)

    def update(self, block: Mapping[str, pa.Array], origin: Origin) -> None:
        values = numbers(block[self.feature.source])
        good = values[np.isfinite(values)]
        self.rows += len(values)
        self.nulls += len(values) - len(good)
        if self.feature.bounds is not None:
            good = np.clip(good, *self.feature.bounds)
        if self.feature.transform == "log":
            good = np.sign(good) * np.log1p(np.abs(good))
        good = good[np.abs(good) <= FLOAT32_MAX]  # a larger one would be all that the moments show
        if not len(good):
            return
        if self.feature.bucketized:
            self._keep(good)
            return
        self.low, self.high = min(self.low, good.min()), max(self.high, good.max())
        total = self.count + len(good)
        shift = good.mean() - self.mean
        self.squares += ((good - good.mean()) ** 2).sum() + shift**2 * self.count * len(
            good
        ) / total
        self.mean += shift * len(good) / total
        self.count = total

    def _keep(self, values: np.ndarray) -> None:
        # The values with the smallest random keys are a uniform sample of all values so far.
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
        if self.low == self.high:
            # Rounding would yield a std of 1e-17 and scale differences in serving by 1e17.
            learnt = {"mean": float(self.low), "std": 0.0}
        given = {"mean": feature.mean, "std": feature.std}
        learnt.update({k: v for k, v in given.items() if v is not None})
        return learnt if feature.transform in ("standardize", "log") else {"mean": learnt["mean"]}
