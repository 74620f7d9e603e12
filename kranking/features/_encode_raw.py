"""The transforms of `Preprocessor`, written in operations that served graphs support."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from kranking.features._categorical import NULLS, Categorical
from kranking.features._columns import BOUND, FLOAT32_MAX, FLOAT64_MAX
from kranking.features._embedding import Embedding
from kranking.features._feature import Feature
from kranking.features._graph_times import graph_times
from kranking.features._hash import COEFFICIENTS, LIMB, OFFSETS, PRIMES
from kranking.features._ids import INTEGERS
from kranking.features._numeric import Numeric
from kranking.features._preprocessor import transform_numbers
from kranking.features._raw_columns import RawColumns
from kranking.features._sequence import UNITS_PER_SECOND, Sequence


def encode_raw(ops: Any, raw: RawColumns, tensors: Mapping[str, Any]) -> dict[str, Any]:
    """Computes model inputs from the tensors of the columns of a log, inside a graph.

    The result is the same as that of `Preprocessor`, except that nothing is refused: a number that is
    missing or not finite becomes the value that the declaration imputes. For a declaration that refuses
    such numbers, it becomes the learned mean or, if there is none, the middle of the bounds or 0. A
    vector becomes zeros.

    Features with the same arithmetic share it in one matrix: a runtime spends more time on starting
    small operators than on their work.

    Args:
        ops: Operations of the graph; `kranking.export` has those of TensorFlow and of ONNX.
        raw: The columns.
        tensors: Tensors by name, as in `raw.inputs`.

    Returns:
        The model inputs by name.
    """
    rows = _Rows(ops, raw, tensors)
    times = graph_times(ops, raw, tensors)
    values = {f.name: tensors[raw.names[f.name]["value"]] for f in raw.features} | times
    made: dict[str, Any] = _numbers(ops, raw, values)
    for feature in raw.features:
        names = raw.names[feature.name]
        if isinstance(feature, Categorical) and feature.times is not None:
            made[feature.name] = ops.lookup(times[feature.name], feature.vocabulary or ())
        elif isinstance(feature, Categorical):
            made[feature.name] = rows.of(feature, names["value"])
            if feature.multivalued:
                made[feature.name] = rows.pad(made[feature.name], names["length"])
        elif isinstance(feature, Embedding):
            made[feature.name] = _vector(ops, values[feature.name])
        elif isinstance(feature, Numeric) and feature.bucketized:
            made[feature.name] = _bucket(ops, feature, values[feature.name])
        elif isinstance(feature, Sequence):
            made |= _sequence(ops, feature, rows, names, tensors)
    order = [name for feature in raw.features for name in feature.inputs()]
    return {name: made[name] for name in order}


class _Rows:
    """Table rows of raw values, with one lookup per tensor and one hash for all hashed tensors."""

    def __init__(self, ops: Any, raw: RawColumns, tensors: Mapping[str, Any]):
        self.ops, self.raw, self.tensors = ops, raw, tensors
        wanted = {}
        for feature in raw.features:
            table = raw.tables[feature.of] if isinstance(feature, Sequence) else feature
            if isinstance(table, Categorical) and table.hash_buckets is not None:
                wanted[raw.names[feature.name]["value"], table.hash_buckets] = None
        self._hashed = self._hash(list(wanted)) if wanted else {}

    def of(self, table: Categorical, name: str) -> Any:
        """Returns the int32 table rows of the values of a tensor."""
        if table.hash_buckets is not None:
            return self._hashed[name, table.hash_buckets]
        return self.ops.lookup(self.tensors[name], table.vocabulary or ())

    def pad(self, rows: Any, length: str, fill: int = -1, newest_last: bool = False) -> Any:
        """Fills lists after their last value with `fill`; reverses them if the newest value is last."""
        ops, width = self.ops, self.ops.width(rows)
        places = np.arange(width, dtype=np.int32)[None]
        kept = ops.column(
            ops.minimum(ops.maximum(self.tensors[length], np.int32(0)), np.int32(width))
        )
        if newest_last:
            backward = ops.subtract(ops.subtract(kept, np.int32(1)), places)
            rows = ops.take_along(rows, ops.maximum(backward, np.int32(0)))
        return ops.where(ops.less(places, kept), rows, np.asarray(fill, ops.numpy_dtype(rows)))

    def _hash(self, wanted: list[tuple[str, int]]) -> dict[tuple[str, int], Any]:
        ops = self.ops
        flat = [len(self.raw.inputs[name].shape) == 0 for name, _ in wanted]
        parts = [
            ops.column(self.tensors[name]) if single else self.tensors[name]
            for single, (name, _) in zip(flat, wanted)
        ]
        widths = [1 if single else ops.width(part) for single, part in zip(flat, parts)]
        values = ops.concatenate(parts) if len(parts) > 1 else parts[0]
        buckets = np.repeat([b for _, b in wanted], widths).astype(np.int64)[None]
        integers = [np.int64(n) for n in NULLS if isinstance(n, int)]
        missing = ops.logical_or(*(ops.equal(values, n) for n in integers))
        found = ops.add(ops.floor_mod(hash_codes(ops, values), buckets), np.int64(1))
        rows = ops.cast(ops.where(missing, np.int64(0), found), "int32")
        split = ops.split(rows, widths) if len(parts) > 1 else [rows]
        return {
            key: ops.flat(part) if single else part
            for key, part, single in zip(wanted, split, flat)
        }


def hash_codes(ops: Any, values: Any) -> Any:
    """Computes `hash_integers` for int64 values in a graph."""
    rest = values
    sums: list[Any] = [None, None]
    for position in range(5):
        limb = ops.floor_mod(rest, np.int64(LIMB))
        rest = ops.divide(
            ops.subtract(rest, limb), np.int64(LIMB)
        )  # exact, hence equal to a floor division
        for k, prime in enumerate(PRIMES):
            term = ops.multiply(limb, np.int64(COEFFICIENTS[k][position]))
            before = np.int64(OFFSETS[k]) if sums[k] is None else sums[k]
            sums[k] = ops.floor_mod(ops.add(term, before), np.int64(prime))
    cubes = []
    for total, prime in zip(sums, PRIMES):
        square = ops.floor_mod(ops.multiply(total, total), np.int64(prime))
        cubes.append(ops.floor_mod(ops.multiply(square, total), np.int64(prime)))
    return ops.add(ops.multiply(cubes[0], np.int64(PRIMES[1])), cubes[1])


def _numbers(ops: Any, raw: RawColumns, values: Mapping[str, Any]) -> dict[str, Any]:
    """Normalizes plain numbers in two groups: those on a logarithmic scale, and all others."""
    plain = [f for f in raw.features if isinstance(f, Numeric) and not f.bucketized]
    made = {}
    for group in (
        [f for f in plain if f.transform == "log"],
        [f for f in plain if f.transform != "log"],
    ):
        if group:
            columns = [ops.column(values[f.name]) for f in group]
            together = ops.concatenate(columns) if len(group) > 1 else columns[0]
            done = _normalize(ops, group, together)
            split = ops.split(done, [1] * len(group)) if len(group) > 1 else [done]
            made |= {f.name: ops.flat(part) for f, part in zip(group, split)}
    return made


def _normalize(ops: Any, group: list[Any], values: Any) -> Any:
    good = ops.less_equal(ops.absolute(values), np.float64(FLOAT64_MAX))
    if any(f.bounds is not None for f in group):
        bounds = np.array([f.bounds or (-np.inf, np.inf) for f in group]).T
        values = ops.minimum(ops.maximum(values, bounds[:1]), bounds[1:])
    if group[0].transform == "log":
        grown = ops.log(ops.add(ops.absolute(values), np.float64(1)))
        values = ops.multiply(ops.sign(values), grown)
    shift, scale = np.array([_moments(f) for f in group]).T[:, None]
    values = ops.divide(ops.subtract(values, shift), scale)
    values = _bounded(ops, values, np.float64)
    imputed = np.array([[imputed_number(f) for f in group]])
    return ops.cast(ops.where(good, values, imputed), "float32")


def _bounded(ops: Any, values: Any, kind: Any) -> Any:
    return ops.minimum(ops.maximum(values, kind(-BOUND)), kind(BOUND))


def _moments(feature: Numeric) -> tuple[float, float]:
    if feature.transform == "scale" and feature.bounds is not None:
        return feature.bounds[0], feature.bounds[1] - feature.bounds[0]
    if feature.transform == "none" or feature.mean is None:
        return 0.0, 1.0
    return feature.mean, feature.std or 1.0


def imputed_number(feature: Numeric) -> float:
    """Returns the replacement for numbers in served requests that are missing or not finite."""
    if feature.nulls != "refuse":
        return float(transform_numbers(feature, np.array([np.nan]), np.array([True]))[0])
    if feature.transform == "scale":
        return 0.5
    if feature.transform == "none":
        middle = 0.0 if feature.mean is None else feature.mean
        return float(np.clip(middle, *(feature.bounds or (-np.inf, np.inf))))
    return 0.0


def _bucket(ops: Any, feature: Numeric, values: Any) -> Any:
    values = ops.column(values)
    good = ops.less_equal(ops.absolute(values), np.float64(FLOAT64_MAX))
    if feature.bounds is not None:
        low, high = map(np.float64, feature.bounds)
        values = ops.minimum(ops.maximum(values, low), high)
    boundaries = np.asarray(feature.boundaries, np.float64)[None]
    reached = ops.cast(ops.less_equal(boundaries, values), "int32")  # no boundary for NaN
    row = ops.add(ops.total(reached), np.int32(1))
    return ops.flat(ops.where(good, row, np.int32(0)))


def _vector(ops: Any, values: Any) -> Any:
    bad = ops.cast(ops.less_equal(ops.absolute(values), np.float32(FLOAT32_MAX)), "int32")
    whole = ops.equal(ops.total(bad), np.int32(ops.width(values)))
    return _bounded(ops, ops.where(whole, values, np.float32(0)), np.float32)


def _sequence(ops: Any, feature: Sequence, rows: _Rows, names: Mapping[str, str], tensors: Any):
    def pad(values: Any, fill: Any) -> Any:
        return rows.pad(values, names["length"], fill, feature.order == "newest_last")

    found = rows.of(rows.raw.tables[feature.of], names["value"])
    made = {feature.name: pad(found, -1)}
    if feature.action is not None:
        kinds = ops.lookup(tensors[names["action"]], feature.action_vocabulary or ())
        made[f"{feature.name}.action"] = pad(kinds, -1)
    if feature.time is not None:
        unit = np.float64(UNITS_PER_SECOND[feature.time_unit])
        now = ops.column(ops.divide(tensors[names["request_time"]], unit))
        times = pad(ops.divide(tensors[names["time"]], unit), np.nan)
        ages = ops.subtract(now, times)
        known = ops.less_equal(ops.absolute(ages), np.float64(FLOAT64_MAX))
        ages = _bounded(ops, ops.where(known, ages, np.float64(0)), np.float64)
        made[f"{feature.name}.age"] = ops.cast(ages, "float32")
    return made


def host_side(features: Iterable[Feature]) -> list[str]:
    """Returns the names of features whose strings a client must hash or split before the graph.

    >>> host_side([Categorical("user", hash_buckets=10), Numeric("age", mean=0.0, std=1.0)])
    ['user']
    """
    return [
        f.name
        for f in features
        if isinstance(f, Categorical)
        and (f.separator is not None or (f.hash_buckets is not None and f.id_dtype != INTEGERS))
    ]
