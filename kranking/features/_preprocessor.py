"""Transform from the columns of a log to model inputs on the host, the reference for graphs."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from kranking._core import as_tuple
from kranking._rows import Origin, as_arrow
from kranking.features._categorical import Categorical
from kranking.features._column_types import read_columns
from kranking.features._columns import (
    FLOAT64_MAX,
    bounded,
    check_lengths,
    check_parallel,
    check_type,
    check_widths,
    list_parts,
    numbers,
    pad,
    pad_positions,
    require,
    split_strings,
    values_of,
)
from kranking.features._embedding import Embedding
from kranking.features._event_times import event_times
from kranking.features._feature import Feature, not_fitted
from kranking.features._ids import dtype_of, null_count
from kranking.features._lookup import Lookup
from kranking.features._model_input import as_model_inputs
from kranking.features._numeric import Numeric
from kranking.features._schema import check_features, model_inputs
from kranking.features._sequence import UNITS_PER_SECOND, Sequence


class Preprocessor:
    """Converts the columns of a log to model inputs in NumPy, the reference for exported graphs.

    Args:
        features: Fitted feature declarations.

    Attributes:
        inputs: Shape, without the batch axis, and dtype of every model input, by name.
        columns: The columns of the log that are read.
        counts: Counts of rows, nulls and values out of vocabulary so far, by feature.

    Raises:
        ValueError: If a feature is not fitted.

    >>> ages = Numeric("age", mean=40.0, std=10.0)
    >>> Preprocessor([ages])({"age": np.array([30.0, 45.0])})
    {'age': array([-1. ,  0.5], dtype=float32)}
    """

    def __init__(self, features: Iterable[Feature]):
        self.features = as_tuple("features", features, "declarations")
        check_features(self.features)
        for feature in self.features:
            if not feature.fitted:
                raise not_fitted(feature)
        self.inputs = model_inputs(self.features)
        readers = {c: f for f in reversed(self.features) for c in f.columns}
        self.columns = tuple(dict.fromkeys(c for f in self.features for c in f.columns))
        self._reads = [(readers[c], c) for c in self.columns]
        self.counts = {
            f.name: {"rows": 0, "nulls": 0, "out_of_vocabulary": 0} for f in self.features
        }
        self._lookups = {
            f.name: Lookup(f.vocabulary, f.hash_buckets, f.id_dtype)
            for f in self.features
            if isinstance(f, Categorical)
        }
        self._actions = {
            f.name: Lookup(f.action_vocabulary, None, dtype_of(f.action_vocabulary))
            for f in self.features
            if isinstance(f, Sequence) and f.action is not None
        }

    def __call__(self, rows: Any, origin: Origin | None = None) -> dict[str, np.ndarray]:
        """Converts rows of any kind that `fit` accepts; `origin` is used in error messages."""
        origin = origin or Origin()
        columns = read_columns(rows, self.features)
        given = {
            name: self._column(feature, name, columns, origin) for feature, name in self._reads
        }
        check_lengths(given)
        outputs: dict[str, np.ndarray] = {}
        for feature in self.features:
            for name in feature.columns:
                check_type(feature, name, given[name].type, origin)
            arrays = list(values_of(feature, given, origin).values())
            self.counts[feature.name]["rows"] += len(arrays[0])
            outputs.update(self._encode(feature, arrays, origin))
        return as_model_inputs(outputs)

    def check_schema(self, schema: pa.Schema, origin: Origin) -> None:
        """Raises `ValueError` if a file with this schema cannot be converted."""
        for feature in self.features:
            for column in feature.columns:
                require(feature, column, schema.names, origin)
                check_type(feature, column, schema.field(column).type, origin)

    def _column(
        self, feature: Feature, name: str, columns: Mapping[str, Any], origin: Origin
    ) -> pa.Array:
        require(feature, name, columns, origin)
        return as_arrow(columns[name], name)

    def _encode(
        self, feature: Feature, arrays: list[pa.Array], origin: Origin
    ) -> dict[str, np.ndarray]:
        if isinstance(feature, Categorical):
            return {feature.name: self._categorical(feature, arrays[0], origin)}
        if isinstance(feature, Numeric):
            return {feature.name: self._numeric(feature, arrays[0], origin)}
        if isinstance(feature, Embedding):
            return {feature.name: self._embedding(feature, arrays[0], origin)}
        if isinstance(feature, Sequence):
            return self._sequence(feature, arrays, origin)
        raise TypeError(f"There is no transform for features of type {type(feature).__name__}")

    def _count(self, feature: Feature, nulls: Any, unknown: Any = 0) -> None:
        counts = self.counts[feature.name]
        counts["nulls"] += int(nulls)
        counts["out_of_vocabulary"] += int(unknown)

    def _categorical(self, feature: Categorical, array: pa.Array, origin: Origin) -> np.ndarray:
        lookup = self._lookups[feature.name]
        nulls = null_count(array)
        if feature.separator is not None:
            array = split_strings(array, feature.separator)
        if not feature.multivalued:
            rows = lookup(array, feature.source, origin)
            self._count(feature, nulls, np.count_nonzero(rows == 0) - nulls)
            return rows
        flat, lengths = list_parts(array)
        rows = lookup(flat, feature.source, origin)
        self._count(feature, nulls, np.count_nonzero(rows == 0))
        positions, valid = pad_positions(lengths, feature.max_length or 0, newest_last=False)
        return pad(rows, positions, valid, -1)

    def _numeric(self, feature: Numeric, array: pa.Array, origin: Origin) -> np.ndarray:
        values = numbers(array)
        bad = ~np.isfinite(values)
        missing = np.count_nonzero(bad)
        self._count(feature, missing)
        if missing and feature.nulls == "refuse" and not feature.bucketized:
            row = int(np.argmax(bad))
            raise ValueError(
                f"Feature {feature.name!r} must not contain null, NaN or infinity. "
                f"Received: {values[row]} in column {feature.source!r}, {origin.at(row)}. "
                "Declare `nulls='mean'` or a number to impute such values."
            )
        return transform_numbers(feature, values, bad)

    def _embedding(self, feature: Embedding, array: pa.Array, origin: Origin) -> np.ndarray:
        flat, lengths = list_parts(array)
        missing = array.is_null().to_numpy(zero_copy_only=False)
        check_widths(feature, array, lengths, origin)
        out = np.zeros((len(array), feature.dim), np.float32)
        flat = numbers(flat)
        flat = np.where(np.isfinite(flat), flat, np.nan)
        out[~missing] = bounded(flat).reshape(-1, feature.dim)
        self._count(feature, np.count_nonzero(missing))
        bad = ~np.isfinite(out).all(axis=1)
        if feature.nulls == "refuse":
            bad |= missing
        if bad.any():
            row = int(np.argmax(bad))
            hint = "" if not missing[row] else " Declare `nulls='zeros'` to use zeros."
            raise ValueError(
                f"Feature {feature.name!r} must not contain null, NaN or infinity. Received: "
                f"{'null' if missing[row] else 'a vector with NaN or infinity'} in "
                f"column {feature.source!r}, {origin.at(row)}.{hint}"
            )
        return out

    def _sequence(
        self, feature: Sequence, arrays: list[pa.Array], origin: Origin
    ) -> dict[str, np.ndarray]:
        columns = dict(zip(feature.columns, arrays))
        flat, lengths = list_parts(columns[feature.source])
        places = pad_positions(
            lengths, feature.max_length, newest_last=feature.order == "newest_last"
        )
        rows = self._lookups[feature.of](flat, feature.source, origin)
        self._count(feature, columns[feature.source].null_count, np.count_nonzero(rows == 0))
        out = {feature.name: pad(rows, *places, -1)}
        if feature.action is not None:
            kinds = _parallel(feature, feature.action, columns, lengths, origin)
            actions = self._actions[feature.name](kinds, feature.action, origin)
            out[f"{feature.name}.action"] = pad(actions, *places, -1)
        if feature.time is not None and feature.request_time is not None:
            flat = _parallel(feature, feature.time, columns, lengths, origin)
            given = {feature.time: flat, feature.request_time: columns[feature.request_time]}
            unit = UNITS_PER_SECOND[feature.time_unit]
            times, now = (x / unit for x in event_times(feature, given, origin).values())
            # An unknown time is treated as now, so that the event is kept and nothing becomes NaN.
            with np.errstate(over="ignore", invalid="ignore"):
                ages = now[:, None] - pad(times, *places, np.nan)
            ages = np.where(np.abs(ages) <= FLOAT64_MAX, ages, 0.0)
            out[f"{feature.name}.age"] = bounded(ages)
        return out


def _parallel(
    feature: Sequence,
    column: str,
    columns: Mapping[str, pa.Array],
    lengths: np.ndarray,
    origin: Origin,
) -> pa.Array:
    """Returns the values of a column whose lists must be as long as the ids of the sequence."""
    flat, own = list_parts(columns[column])
    check_parallel(feature, column, lengths, own, origin)
    return flat


@np.errstate(over="ignore")
def transform_numbers(feature: Any, values: np.ndarray, bad: np.ndarray) -> np.ndarray:
    """Clips, imputes and normalizes float64 values; `bad` marks the values to impute.

    What the transform sends beyond ±`BOUND` becomes it: the model would make NaN of larger numbers.
    """
    if feature.bounds is not None:
        values = np.clip(values, *feature.bounds)
    if feature.bucketized:
        rows = 1 + np.searchsorted(np.asarray(feature.boundaries), values, side="right")
        return np.where(bad, 0, rows).astype(np.int32)
    if not isinstance(feature.nulls, str):
        values = np.where(bad, feature.nulls, values)
        bad = np.zeros_like(bad)
    if feature.transform == "log":
        values = np.sign(values) * np.log1p(np.abs(values))
    if feature.nulls == "mean":
        values = np.where(bad, feature.mean, values)
    if feature.transform == "scale" and feature.bounds is not None:
        low, high = feature.bounds
        values = (values - low) / (high - low)
    if feature.transform in ("standardize", "log"):
        # A constant column has no information: it becomes 0 instead of a division by zero.
        values = (values - feature.mean) / (feature.std or 1.0)
    return bounded(values)
