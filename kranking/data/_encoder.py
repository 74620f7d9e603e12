"""Encoding of log rows to model inputs, labels and sample weights."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from kranking._rows import Origin, as_arrow, plain_type
from kranking.features import Embedding, Feature, Preprocessor, Task
from kranking.features.internal import (
    check_label_column,
    check_label_type,
    check_label_types,
    class_counts,
    label_column,
    label_values,
    weight_values,
)

Encoded = dict[tuple[str, str], np.ndarray]  # ("x" | "y" | "w", name) -> values


class RowEncoder:
    """Encodes blocks of rows to a flat mapping of inputs, labels and weights.

    Args:
        features: Fitted feature declarations.
        tasks: Tasks whose labels are read; empty to score rows without labels.
        sample_weight: Name of the column of non-negative sample weights.

    Attributes:
        label_counts: Numbers of rows with a positive and with a negative label so far, by task.
    """

    def __init__(
        self, features: Iterable[Feature], tasks: Sequence[Task], sample_weight: str | None
    ):
        self.preprocessor = Preprocessor(features)
        self.tasks = tuple(tasks)
        self.sample_weight = sample_weight
        self.label_counts = {task.name: np.zeros(2, np.int64) for task in self.tasks}
        labels = [column for task in self.tasks for column in task.columns]
        extra = labels if sample_weight is None else [*labels, sample_weight]
        self.columns = tuple(dict.fromkeys([*self.preprocessor.columns, *extra]))

    def check_schema(self, schema: pa.Schema, origin: Origin) -> None:
        """Raises `ValueError` if a file with this schema cannot be encoded."""
        self.preprocessor.check_schema(schema, origin)
        for feature in self.preprocessor.features:
            if isinstance(feature, Embedding):
                _check_width(feature, plain_type(schema.field(feature.source).type), origin)
        for task in self.tasks:
            check_label_types(task, schema, origin)
        if self.sample_weight is not None:
            who = "`sample_weight`"
            check_label_column(who, self.sample_weight, schema.names, origin)
            kind = schema.field(self.sample_weight).type
            check_label_type(who, self.sample_weight, kind, origin)

    def __call__(self, batch: pa.RecordBatch, origin: Origin) -> Encoded:
        """Encodes a block of rows."""
        columns = {n: as_arrow(c, n) for n, c in zip(batch.schema.names, batch.columns)}
        encoded = {("x", n): v for n, v in self.preprocessor(columns, origin).items()}
        weight: Any = 1.0
        if self.sample_weight is not None:
            weight = weight_values(columns[self.sample_weight], self.sample_weight, origin)
        for task in self.tasks:
            labels = label_column(task, columns, origin)
            label, observed = label_values(task, labels, origin)
            self.label_counts[task.name] += class_counts(label, observed)
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
