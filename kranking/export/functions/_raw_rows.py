"""Seeded rows of raw columns on which signatures on columns and the model are compared."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kranking.export._rows import Case
from kranking.export.functions._random_numbers import random_numbers, refuses_nulls
from kranking.export.functions._served_function import ServedFunction
from kranking.export.functions._time_columns import time_columns
from kranking.features import Categorical, Embedding, Feature, Numeric, Preprocessor
from kranking.features import Sequence as History

_SIZES = (("random", 0), ("single", 1), ("odd", 7))
_STRANGE = ("never seen", "naïve é 漢字 🎈", " ")


def raw_cases(
    functions: Sequence[ServedFunction],
    features: Sequence[Feature],
    num_rows: int,
    seed: int,
    log: Mapping[str, Any] | None = None,
) -> dict[str, list[tuple[Case, dict[str, np.ndarray]]]]:
    """Returns the check rows of each function, with the model inputs that `Preprocessor` encodes them to.

    They include nulls, unseen values, empty and too long lists, and outliers. If given, the columns of a
    real `log` are added.
    """
    preprocessor = Preprocessor(features)
    cases: dict[str, list] = {function.name: [] for function in functions if function.parts}
    batches: dict[str, Any] = {
        name: log_columns(features, size or num_rows, np.random.default_rng([seed, size]))
        for name, size in _SIZES
    }
    if log is not None:
        batches["log"] = log
    for name, columns in batches.items():
        for function in functions:
            if function.parts:
                rows, inputs = _case_rows(function, columns, preprocessor)
                cases[function.name].append((Case(name, rows), inputs))
    return cases


def _case_rows(
    function: ServedFunction, columns: Mapping[str, Any], preprocessor: Any
) -> tuple[Any, Any]:
    size = len(next(iter(columns.values())))
    firsts = [part.axis == 1 for part in function.parts]
    once = {
        c
        for p, f in zip(function.parts, firsts)
        if f
        for x in p.columns.features
        for c in x.columns
    }
    # A request has one user, whose values are repeated in the row of each candidate.
    repeated = {
        n: c.take(pa.array(np.zeros(size, np.int64))) if n in once else c
        for n, c in columns.items()
    }
    rows = {}
    for part, first in zip(function.parts, firsts):
        made = part.columns(repeated)
        rows |= {n: (x[:1] if first else x) for n, x in made.items()}
    return rows, preprocessor(repeated)


def log_columns(features: Sequence[Feature], size: int, rng: Any) -> dict[str, pa.Array]:
    """Returns random columns for the features, by column name."""
    tables = {f.name: f for f in features if isinstance(f, Categorical)}
    # A column that several features read is generated for the most demanding one.
    kinds: Any = (History, Categorical, Embedding, Numeric)
    longest = max((f.max_length for f in features if isinstance(f, History)), default=0)
    lengths = _lengths(size, longest, rng)
    columns = time_columns(features, size, rng)
    for feature in (f for kind in kinds for f in features if isinstance(f, kind) and not f.times):
        columns = _columns(feature, tables, lengths, rng) | columns
        if refuses_nulls(feature):
            columns[feature.source] = pc.fill_null(columns[feature.source], 0)  # pyright: ignore
    return columns | _without_zone(features, columns)


def _without_zone(
    features: Sequence[Feature], columns: Mapping[str, pa.Array]
) -> dict[str, pa.Array]:
    """Returns the times of sequences without a zone, where those that they are compared with have none."""
    clocks = {n for f in features if f.times and f.times.zoned is False for n in f.columns}
    histories = [f for f in features if isinstance(f, History) and f.time and f.request_time]
    for _ in histories:  # one that shares a column with another leads to it
        for pair in ({str(f.time), str(f.request_time)} for f in histories):
            clocks |= pair if pair & clocks else set()
    found = {}
    for feature in histories:
        clock = pa.timestamp(feature.time_unit)
        for name in {str(feature.time), str(feature.request_time)} & clocks:
            kind = columns[name].type
            if pa.types.is_integer(kind):
                found[name] = columns[name].cast(clock)
            elif pa.types.is_list(kind) and pa.types.is_integer(kind.value_type):
                found[name] = columns[name].cast(pa.list_(clock))
    return found


def _columns(
    feature: Any, tables: dict[str, Categorical], histories: Any, rng: Any
) -> dict[str, Any]:
    size = len(histories)
    if isinstance(feature, Numeric):
        return {feature.source: random_numbers(feature, size, rng)}
    if isinstance(feature, Embedding):
        rows = list(rng.standard_normal((size, feature.dim)))
        if feature.nulls == "zeros":
            rows = [None if rng.random() < 0.1 else row for row in rows]
        return {feature.source: pa.array(rows, pa.list_(pa.float32()))}
    if isinstance(feature, Categorical):
        vocabulary = _vocabulary(feature)
        if not feature.multivalued:
            return {feature.source: _ids(vocabulary, size, rng)}
        lists = _lists(
            _lengths(size, feature.max_length, rng), lambda n: _ids(vocabulary, n, rng), rng
        )
        if feature.separator is not None:
            joined = [
                None if row is None else feature.separator.join(v or "" for v in row)
                for row in lists.to_pylist()
            ]
            lists = pa.array(joined, pa.string())
        return {feature.source: lists}
    return _history(feature, tables[feature.of], histories, rng)


def _history(feature: History, table: Categorical, lengths: Any, rng: Any) -> dict[str, Any]:
    vocabulary = _vocabulary(table)
    columns = {feature.source: _lists(lengths, lambda n: _ids(vocabulary, n, rng), None)}
    if feature.action is not None:
        kinds = feature.action_vocabulary or ("a",)
        columns[feature.action] = _lists(lengths, lambda n: _ids(kinds, n, rng), None)
    if feature.time is not None and feature.request_time is not None:
        unit = {"s": 1, "ms": 10**3, "us": 10**6}[feature.time_unit]
        now = 1_700_000_000 * unit
        ages = lambda n: pa.array(now - rng.integers(0, 10**6 * unit, n))  # noqa: E731
        columns[feature.time] = _lists(lengths, ages, None)
        columns[feature.request_time] = pa.array(now + rng.integers(0, 10**4 * unit, len(lengths)))
    return columns


def _vocabulary(feature: Categorical) -> Any:
    """Returns values of the kind of the feature; `None` for integers of all magnitudes."""
    hashes_integers = feature.hash_buckets is not None and feature.id_dtype != "string"
    return None if hashes_integers else feature.vocabulary or ("a",)


def _ids(vocabulary: Any, size: int, rng: Any) -> pa.Array:
    """Returns known values, unknown values and nulls; integers of all magnitudes for hashed ids."""
    missing = rng.random(size) < 0.1
    if vocabulary is None or isinstance(vocabulary[0], int):
        values = rng.integers(-(2**62), 2**62, size) >> rng.integers(0, 62, size)
        if vocabulary is not None:
            values = np.where(
                rng.random(size) < 0.7, rng.choice(np.array(vocabulary), size), values
            )
        return pa.array(values, mask=missing)
    known = rng.integers(0, len(vocabulary), size)
    strange = rng.integers(0, len(_STRANGE), size)
    kept = rng.random(size) < 0.7
    values = [vocabulary[k] if keep else _STRANGE[s] for k, s, keep in zip(known, strange, kept)]
    return pa.array([None if m else v for v, m in zip(values, missing)], pa.string())


def _lengths(size: int, width: Any, rng: Any) -> np.ndarray:
    return rng.integers(0, width + 3, size)


def _lists(lengths: np.ndarray, values: Any, rng: Any) -> pa.Array:
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    lists = pa.ListArray.from_arrays(pa.array(offsets), values(int(offsets[-1])))
    if rng is None:
        return lists
    absent = rng.random(len(lengths)) < 0.1
    return pa.array([None if a else r for a, r in zip(absent, lists.to_pylist())], lists.type)
