"""Types of the columns of a CSV file, from what the features and tasks declare."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from kranking._rows import ID, columns_of
from kranking.features._categorical import Categorical
from kranking.features._embedding import Embedding
from kranking.features._feature import Feature
from kranking.features._ids import TEXT
from kranking.features._numeric import Numeric
from kranking.features._sequence import Sequence as EventSequence
from kranking.features._task import Task

_TEXTS = pa.list_(pa.string())  # of ids, which are converted where their kind is known


def column_types(
    features: Iterable[Feature], tasks: Sequence[Task] = (), sample_weight: str | None = None
) -> dict[str, pa.DataType]:
    """Returns the declared types by column; a column of lists is text that is split.

    >>> column_types([Numeric("age"), Embedding("cover", dim=2)])
    {'age': DataType(double), 'cover': ListType(list<item: float>)}
    """
    features, types = list(features), {}
    for feature in features:
        if feature.times is not None:
            continue
        if isinstance(feature, Numeric):
            types.setdefault(feature.source, pa.float64())
        elif isinstance(feature, Embedding):
            types[feature.source] = pa.list_(pa.float32())
        elif isinstance(feature, EventSequence):
            types[feature.source] = _TEXTS
            if feature.action is not None:
                types[feature.action] = _TEXTS
            if feature.time is not None:
                types[feature.time] = pa.list_(pa.float64())
        elif isinstance(feature, Categorical):
            types[feature.source] = _categorical(feature)
    for task in tasks:
        labels = {task.columns[0]: pa.float64()} if task.rule is None else task.rule.column_types()
        types = {**labels, **types}
    ruled = {column for task in tasks if task.rule is not None for column in task.columns}
    for feature in features:
        if feature.times is not None:  # as it stands, since any text in ISO 8601 is read
            types |= dict.fromkeys(set(feature.columns) - ruled, ID)
    if sample_weight:
        types.setdefault(sample_weight, pa.float64())
    return types


def read_columns(
    rows: Any, features: Iterable[Feature], tables: Iterable[Feature] = ()
) -> Mapping[str, Any]:
    """Returns the columns of rows by name, for features that read them and the tables of sequences."""
    features = list(features)
    names = list(dict.fromkeys(c for feature in features for c in feature.columns))
    return columns_of(rows, names, lambda: column_types([*tables, *features]))


def _categorical(feature: Categorical) -> pa.DataType:
    if feature.multivalued and feature.separator is None:
        return _TEXTS
    return pa.string() if feature.separator or feature.id_dtype == TEXT else ID
