"""Columns of a log as tensors for served graphs: without null, of fixed width, not looked up yet."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from kranking._core import as_tuple
from kranking._rows import Origin, as_arrow
from kranking.features._categorical import Categorical
from kranking.features._column_types import read_columns
from kranking.features._columns import (
    bounded,
    check_lengths,
    check_parallel,
    check_type,
    check_widths,
    list_parts,
    numbers,
    require,
    split_strings,
    typed_nulls,
)
from kranking.features._embedding import Embedding
from kranking.features._event_times import event_times
from kranking.features._feature import Feature, InputSpec
from kranking.features._ids import (
    BY_TYPE,
    INTEGERS,
    NULL_INTEGER,
    TEXT,
    dtype_of,
    hash_inputs,
    to_ids,
)
from kranking.features._instants import read_instants
from kranking.features._numeric import Numeric


class RawColumns:
    """Converts the columns of a log to the tensors of a served graph, and declares these tensors.

    Strings remain strings, with "" for null; integers are int64, with the smallest one for null; numbers
    and the times of a sequence are float64, with NaN for null; vectors are float32, all NaN for null. The
    tensor of a `TimePart` or `Age` is called `<column>.us`: int64 microseconds since 1970-01-01, of UTC or,
    for times without a zone, of their clock. Of a list, the tensor
    contains first the values that the feature keeps, in the order of the log, and `<column>.length` is
    their number. A tensor has the name of its column; if a column is read in a second way, that tensor is
    called `<column>.<feature>`.

    Strings that are hashed become integers here, since no graph runtime computes their digest.

    Args:
        features: Fitted feature declarations.
        tables: Declarations that sequences refer to; `None` means `features`.
        taken: Names that no tensor may have.

    Attributes:
        inputs: Shape, without the batch axis, and dtype of every tensor, by name.
        names: Tensor names by feature and part: `value`, `length`, `action`, `time`, `request_time`, `at`.

    >>> RawColumns([Numeric("age", mean=40.0, std=10.0)])({"age": [30.0, None]})
    {'age': array([30., nan])}
    """

    def __init__(
        self,
        features: Iterable[Feature],
        tables: Iterable[Feature] | None = None,
        taken: Iterable[str] = (),
    ):
        self.features = as_tuple("features", features, "declarations", Feature)
        self._taken = frozenset(taken)
        self.inputs: dict[str, InputSpec] = {}
        every = self.features if tables is None else tables
        self.tables = {f.name: f for f in every if isinstance(f, Categorical)}
        self._ways: dict[str, dict[Any, str]] = {}
        self.names = {feature.name: self._declare(feature) for feature in self.features}

    def __call__(self, rows: Any, origin: Origin | None = None) -> dict[str, np.ndarray]:
        """Converts rows of any kind that `fit` accepts to tensors; `origin` is used in error messages."""
        origin = origin or Origin()
        columns = read_columns(rows, self.features, self.tables.values())
        given, outputs = {}, {}
        for feature in self.features:
            for name in feature.columns:
                require(feature, name, columns, origin)
                given[name] = given[name] if name in given else as_arrow(columns[name], name)
                check_type(feature, name, given[name].type, origin)
        check_lengths(given)
        for feature in self.features:
            own = {name: typed_nulls(feature, name, given[name]) for name in feature.columns}
            parts = self._parts(feature, own, origin)
            names = self.names[feature.name]
            outputs |= {names[part]: array for part, array in parts.items()}
        return outputs

    def _declare(self, feature: Any) -> dict[str, str]:
        if feature.times is not None:
            # A client that sent seconds to a tensor called `time` would be wrong without noticing.
            way = ("times", feature.times.unit)
            names = [self._add(feature, f"{c}.us", (), INTEGERS, way) for c in feature.columns]
            return dict(zip(("value", "at"), names))
        if isinstance(feature, Numeric):
            return {"value": self._add(feature, feature.source, (), "float64")}
        if isinstance(feature, Embedding):
            return {"value": self._add(feature, feature.source, (feature.dim,), "float32")}
        if isinstance(feature, Categorical):
            if not feature.multivalued:
                way = _id_way(feature)
                return {"value": self._add(feature, feature.source, (), id_dtype(feature), way)}
            shape, way = (feature.max_length,), _id_way(feature, ("first", feature.separator))
            return self._list(feature, shape, id_dtype(feature), way)
        shape, way, table = (feature.max_length,), feature.order, self.tables[feature.of]
        names = self._list(feature, shape, id_dtype(table), _id_way(table, way))
        if feature.action is not None:
            kind = dtype_of(feature.action_vocabulary) or TEXT
            names["action"] = self._add(feature, feature.action, shape, kind, way)
        if feature.time is not None:
            names["time"] = self._add(feature, feature.time, shape, "float64", way)
            names["request_time"] = self._add(feature, feature.request_time, (), "float64")
        return names

    def _list(self, feature: Feature, shape: Any, dtype: str, way: Any) -> dict[str, str]:
        value = self._add(feature, feature.source, shape, dtype, way)
        return {"value": value, "length": self._add(feature, f"{value}.length", (), "int32", value)}

    def _add(self, feature: Feature, column: Any, shape: Any, dtype: str, way: Any = None) -> str:
        """Returns the name of the tensor for a column that is read in this way; declares it if new."""
        ways, key = self._ways.setdefault(column, {}), (shape, dtype, way)
        if key not in ways:
            name = f"{column}.{feature.name}" if ways else column
            if name in self._taken:
                name = f"{column}.{feature.name}"
            while name in self.inputs or name in self._taken:
                name += "_"
            ways[key] = name
            self.inputs[name] = InputSpec(shape, dtype)
        return ways[key]

    def _parts(self, feature: Any, columns: Mapping[str, pa.Array], origin: Origin) -> Any:
        if feature.times is not None:
            return dict(zip(("value", "at"), read_instants(feature, columns, origin)[0].values()))
        array = columns[feature.source]
        if isinstance(feature, Numeric):
            return {"value": numbers(array)}
        if isinstance(feature, Embedding):
            return {"value": _vectors(feature, array, origin)}
        if isinstance(feature, Categorical):
            if feature.separator is not None:
                array = split_strings(array, feature.separator)
            if not feature.multivalued:
                return {"value": _ids(feature, array, feature.source, origin)}
            flat = _ids(feature, array.flatten(), feature.source, origin)
            return _lists(flat, array, feature.max_length, False)
        newest_last, width = feature.order == "newest_last", feature.max_length
        flat = _ids(self.tables[feature.of], array.flatten(), feature.source, origin)
        parts = _lists(flat, array, width, newest_last)
        for column in feature.columns[1:]:
            if column != feature.request_time:
                lengths, own = list_parts(array)[1], list_parts(columns[column])[1]
                check_parallel(feature, column, lengths, own, origin)
        if feature.action is not None:
            kind, other = dtype_of(feature.action_vocabulary), columns[feature.action]
            flat = _values(to_ids(other.flatten(), kind, feature.action, origin), kind or TEXT)
            parts["action"] = _lists(flat, other, width, newest_last)["value"]
        if feature.time is not None:
            other, now = columns[feature.time], columns[feature.request_time]
            given = {feature.time: other.flatten(), feature.request_time: now}
            times, parts["request_time"] = event_times(feature, given, origin).values()
            parts["time"] = _lists(times, other, width, newest_last)["value"]
        return parts


def id_dtype(feature: Categorical) -> str:
    """Returns the dtype of raw categorical values: int64 if hashed, else that of the vocabulary."""
    return INTEGERS if feature.hash_buckets is not None else dtype_of(feature.vocabulary) or TEXT


def _id_way(feature: Categorical, way: Any = None) -> Any:
    """Returns the way in which a column is read: digests of texts are another tensor than integers."""
    digests = feature.hash_buckets is not None and feature.id_dtype not in (INTEGERS, BY_TYPE)
    return (way, feature.id_dtype) if digests else way


def _ids(feature: Categorical, values: pa.Array, column: str, origin: Origin) -> np.ndarray:
    ids = to_ids(values, feature.id_dtype, column, origin)
    if feature.hash_buckets is not None:
        return hash_inputs(ids, feature.id_dtype)
    return _values(ids, id_dtype(feature))


def _values(ids: pa.Array, dtype: str) -> np.ndarray:
    if dtype == INTEGERS:
        return hash_inputs(ids, INTEGERS)
    if pa.types.is_integer(ids.type):  # without a vocabulary, which contains no value of any kind
        return np.full(len(ids), "", object)
    return np.array([text or "" for text in ids.to_pylist()], object)


def _lists(flat: np.ndarray, array: pa.Array, width: Any, newest_last: bool) -> dict[str, Any]:
    lengths = list_parts(array)[1]
    starts = np.cumsum(lengths) - lengths
    if newest_last:
        starts = starts + np.maximum(lengths - width, 0)
    kept = np.minimum(lengths, width)
    valid = np.arange(width) < kept[:, None]
    fill: Any = {"O": "", "i": NULL_INTEGER, "f": np.nan}[flat.dtype.kind]
    out = np.full(valid.shape, fill, flat.dtype)
    out[valid] = flat[(starts[:, None] + np.arange(width))[valid]]
    return {"value": out, "length": kept.astype(np.int32)}


def _vectors(feature: Embedding, array: pa.Array, origin: Origin) -> np.ndarray:
    flat, lengths = list_parts(array)
    check_widths(feature, array, lengths, origin)
    out = np.full((len(array), feature.dim), np.nan, np.float32)
    values = numbers(flat)
    values = np.where(np.isfinite(values), bounded(values), np.nan).reshape(-1, feature.dim)
    out[array.is_valid().to_numpy(zero_copy_only=False)] = values
    return out
