"""Encoding of log rows to model inputs, labels and sample weights."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from kranking._rows import Origin, as_arrow, plain_type
from kranking.features import Embedding, Feature, Preprocessor, Task
from kranking.features.internal import check_no_label_is_read

Encoded = dict[tuple[str, str], np.ndarray]  # ("x" | "y" | "w", name) -> values


class RowEncoder:
    """Encodes blocks of rows to a flat mapping of inputs, labels and weights.

    Args:
        features: Fitted feature declarations.
        tasks: Tasks whose labels are read; empty to score rows without labels.
        sample_weight: Name of the column of non-negative sample weights.
    """

    def __init__(
        self, features: Iterable[Feature], tasks: Sequence[Task], sample_weight: str | None
    ):
        self.preprocessor = Preprocessor(features)
        self.tasks = tuple(tasks)
        self.sample_weight = sample_weight
        check_no_label_is_read(self.preprocessor.columns, self.tasks)
        labels = [task.column for task in self.tasks]
        extra = labels if sample_weight is None else [*labels, sample_weight]
        self.columns = tuple(dict.fromkeys([*self.preprocessor.columns, *extra]))

    def check_schema(self, schema: pa.Schema, origin: Origin) -> None:
        """Raises `ValueError` if a file with this schema cannot be encoded."""
        self.preprocessor.check_schema(schema, origin)
        for feature in self.preprocessor.features:
            if isinstance(feature, Embedding):
                _check_width(feature, plain_type(schema.field(feature.source).type), origin)
        wanted = {f"Task {task.name!r}": task.column for task in self.tasks}
        if self.sample_weight is not None:
            wanted["`sample_weight`"] = self.sample_weight
        for who, column in wanted.items():
            if column not in schema.names:
                raise ValueError(
                    f"{who} needs column {column!r}, which {origin.file} does not have. "
                    f"Received: {sorted(schema.names)}"
                )
            kind = schema.field(column).type
            if not _is_number(plain_type(kind)):
                raise ValueError(
                    f"{who} has the wrong type in column {column!r} of {origin.file}. "
                    f"Expected: numbers or booleans. Received: {kind}"
                )

    def __call__(self, batch: pa.RecordBatch, origin: Origin) -> Encoded:
        """Encodes a block of rows."""
        columns = {n: as_arrow(c, n) for n, c in zip(batch.schema.names, batch.columns)}
        encoded = {("x", n): v for n, v in self.preprocessor(columns, origin).items()}
        weight: Any = 1.0
        if self.sample_weight is not None:
            weight = _weights(columns[self.sample_weight], self.sample_weight, origin)
        for task in self.tasks:
            label, observed = _labels(task, columns[task.column], origin)
            encoded["y", task.name] = label
            encoded["w", task.name] = (observed * weight).astype(np.float32)
        return encoded

    def batch(self, encoded: Encoded, start: int, stop: int) -> tuple[dict[str, Any], ...]:
        """Slices encoded rows to `(x, y, sample_weight)`, or to `(x,)` without tasks."""
        parts: dict[str, dict[str, Any]] = {"x": {}, "y": {}, "w": {}}
        for (part, name), values in encoded.items():
            parts[part][name] = values[start:stop]
        return tuple(parts.values()) if self.tasks else (parts["x"],)


def _check_width(feature, kind, origin):
    if pa.types.is_fixed_size_list(kind) and kind.list_size != feature.dim:
        raise ValueError(
            f"Feature {feature.name!r} needs vectors of width {feature.dim} in column "
            f"{feature.source!r}. Received: width {kind.list_size} in {origin.file}"
        )


def _labels(task, array, origin):
    values, missing = _numbers(array)
    if task.nulls == "mask":
        missing |= np.isnan(values)
    else:
        missing[:] = False
    bad = ~((values >= 0) & (values <= 1)) & ~missing  # NaN compares false with everything
    if bad.any():
        row = int(np.argmax(bad))
        null = np.isnan(values[row])
        what = "null, NaN and infinity" if not np.isfinite(values[row]) else "labels outside [0, 1]"
        raise ValueError(
            f"Task {task.name!r} does not accept {what}. Received: {values[row]} in column "
            f"{task.column!r}, {origin.at(row)}."
            + (" Declare `nulls='mask'` if the action was not observed there." if null else "")
        )
    return np.where(missing, 0, values).astype(np.float32), ~missing


def _weights(array, column, origin):
    values, _ = _numbers(array)
    bad = ~(np.isfinite(values) & (values >= 0))
    if bad.any():
        row = int(np.argmax(bad))
        raise ValueError(
            f"`sample_weight` must be finite and non-negative. Received: {values[row]} in column "
            f"{column!r}, {origin.at(row)}"
        )
    return values


def _numbers(array):
    """Returns float64 values, with NaN for null, and a mask of the nulls."""
    missing = np.array(array.is_null().to_numpy(zero_copy_only=False))
    if not pa.types.is_floating(array.type):
        array = array.cast(pa.float64())
    return np.asarray(array.to_numpy(zero_copy_only=False), np.float64), missing


def _is_number(kind):
    checks = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_decimal)
    return any(check(kind) for check in checks) or pa.types.is_null(kind)
