"""The layer that converts model inputs to fields."""

from collections.abc import Callable, Iterable
from typing import Any

import keras
import numpy as np
from keras import ops

from kranking._core import Shape, as_tuple, fresh, serializable
from kranking.features._bounded_cast import bounded_cast
from kranking.features._categorical import Categorical
from kranking.features._embedding import Embedding
from kranking.features._feature import Feature
from kranking.features._numeric import Numeric
from kranking.features._schema import (
    check_features,
    event_width,
    field_widths,
    from_config,
    to_config,
)
from kranking.features._sequence import Sequence, TransAct
from kranking.features._table_reads import TableRead, read_tables
from kranking.features._tables import plan_tables, valid_places, warn_of_large_tables
from kranking.features._transformers import transformer_of, transformer_shapes
from kranking.layers import Work, work_of
from kranking.ops import embedding_table, l2_normalize, masked_max, masked_mean, masked_sum

_POOL: dict[str, Callable] = {"mean": masked_mean, "sum": masked_sum, "max": masked_max}


@serializable
class FieldEncoder(keras.layers.Layer):
    """Converts each feature to a field, a vector per row of the batch: `{name: (batch, width)}`.

    The field of a categorical or bucketized feature is a row of an embedding table, or several rows pooled.
    A number is a field of width 1, and a vector is kept or projected. The ids of a sequence are looked up
    in the table of another feature and pooled or encoded. Features of equal width share one lookup in one
    table, in which each has its rows with its initializer; this changes neither names nor results.

    Ids outside of their table read row 0 on every backend; in lists, negative ids are padding.

    Args:
        features: Fitted feature declarations.
        **kwargs: Keyword arguments of `keras.layers.Layer`.

    Input shape: a dict, by input name, of `(batch,)`, `(batch, dim)` or `(batch, length)`.
    Output shape: a dict, by feature name, of `(batch, width)`.

    >>> encoder = FieldEncoder([Categorical("country", vocabulary=("DE", "FR"), embedding_dim=4)])
    >>> tuple(encoder({"country": np.array([0, 2, 1])})["country"].shape)
    (3, 4)
    """

    def __init__(self, features: Iterable[Feature], **kwargs):
        # Tables stay in float32 and only looked-up rows are cast: casting a table copies it in each step.
        super().__init__(autocast=False, **kwargs)
        given = as_tuple("features", features, "declarations")
        self.features = tuple(from_config(f) if isinstance(f, dict) else f for f in given)
        check_features(self.features)
        self.field_widths = field_widths(self.features)
        self._by_name = {f.name: f for f in self.features}
        self._tables = plan_tables(self.features)
        self._table_of = {f.name: i for i, table in enumerate(self._tables) for f in table.features}
        self.transformers = {
            f.name: transformer_of(f)
            for f in self.features
            if isinstance(f, Sequence) and isinstance(f.encoder, TransAct)
        }

    def build(self, input_shape=None):
        warn_of_large_tables(self.features)
        # Tables are not autocast: a half-precision copy of a whole table per step would be read, and some
        # backends would sum the gradients of equal ids in half precision.
        self.tables = [
            embedding_table(self._add((t.num_rows, t.width), t.name, t.initialize, t.regularizer))
            for t in self._tables
        ]
        self.projections, self.action_tables = {}, {}
        for i, feature in enumerate(self.features):
            if isinstance(feature, Embedding) and feature.project_to is not None:
                shape = (feature.dim, feature.project_to)
                initial = fresh(feature.initializer), feature.regularizer
                self.projections[feature.name] = self._add(shape, f"projection_{i}", *initial)
            elif isinstance(feature, Sequence) and feature.action is not None:
                shape = (feature.num_action_rows, feature.action_dim)
                initial = fresh(feature.initializer), feature.regularizer
                table = self._add(shape, f"actions_{i}", *initial)
                self.action_tables[feature.name] = embedding_table(table)
        for name, transformer in self.transformers.items():
            transformer.build(self._transformer_shapes(self._by_name[name]))

    def call(self, inputs, training=None):
        return self.fields_of(self.features, inputs, training)

    def fields_of(self, features: Iterable[Feature], inputs, training=None) -> dict[str, Any]:
        """Computes the fields of some features from the inputs that they read."""
        features = tuple(features)
        groups = self._reads(self._with_candidates(features))
        vectors = read_tables(groups, inputs, self.compute_dtype)
        fields = {}
        for feature in features:
            field = self._field(feature, inputs, vectors, training)
            if getattr(feature, "l2_normalize", False) and not self._is_number(feature):
                field = l2_normalize(field)
            fields[feature.name] = field
        return fields

    def table(self, name: str) -> Any:
        """Returns the table of one feature, `(num_rows, width)`."""
        if name not in self._table_of:
            raise ValueError(
                f"`name` must be one of the features with a table, {sorted(self._table_of)}. "
                f"Received: {name!r}"
            )
        index = self._table_of[name]
        start = self._tables[index].offsets[name]
        rows: Any = ops.convert_to_tensor(self.tables[index])
        return rows[start : start + self._by_name[name].num_rows]

    def set_table(self, name: str, rows: Any) -> None:
        """Sets the table of one feature to `(num_rows, width)` rows; row 0 is out of vocabulary."""
        shape = tuple(self.table(name).shape)
        if tuple(rows.shape) != shape:
            raise ValueError(
                f"`rows` of feature {name!r} must have shape {shape}. Received: {tuple(rows.shape)}"
            )
        # Features of equal width share a table, one below the other.
        index = self._table_of[name]
        start = self._tables[index].offsets[name]
        whole = np.array(ops.convert_to_numpy(self.tables[index].value))
        whole[start : start + shape[0]] = rows
        self.tables[index].assign(whole)

    def compute_output_shape(self, input_shape):
        batch = next(iter(input_shape.values()))[0] if input_shape else None
        return {name: (batch, width) for name, width in self.field_widths.items()}

    def compute_output_spec(self, inputs, training=None):
        shapes = self.compute_output_shape({name: x.shape for name, x in inputs.items()})
        return {
            name: keras.KerasTensor(shape, self.compute_dtype) for name, shape in shapes.items()
        }

    def get_config(self):
        return {**super().get_config(), "features": [to_config(f) for f in self.features]}

    def work(self, input_shape=None) -> Work:
        """Returns the work of tables, projections and sequence encoders; lookups have no FLOPs."""
        rows = sum(t.num_rows * t.width for t in self._tables)
        return sum(map(self.field_work, self.features), Work(rows, table_parameters=rows))

    def field_work(self, feature: Feature) -> Work:
        """Returns the work of one field without its table, which other features may share."""
        total = Work(saved_elements=self.field_widths[feature.name])
        if isinstance(feature, Embedding) and feature.project_to is not None:
            size = feature.dim * feature.width
            total += Work(size, 2 * size, feature.width)
        elif isinstance(feature, Sequence):
            shapes = self._transformer_shapes(feature)
            total += Work(0, 0, feature.max_length * (shapes[0][-1] or 0))
            if feature.action is not None:
                rows = feature.num_action_rows * feature.action_dim
                total += Work(rows, table_parameters=rows)
            if feature.name in self.transformers:
                total += work_of(self.transformers[feature.name], shapes)
        return total

    def _add(self, shape: tuple[int, int], name: str, initializer: Any, regularizer: Any):
        return self.add_weight(
            shape=shape,
            initializer=initializer,
            regularizer=keras.regularizers.get(regularizer),
            autocast=False,
            name=name,
        )

    @staticmethod
    def _is_number(feature: Feature) -> bool:
        return isinstance(feature, Numeric) and not feature.bucketized

    def _with_candidates(self, features: tuple[Feature, ...]) -> list[Feature]:
        """Returns features and the candidates whose vectors are concatenated with their events."""
        given = dict.fromkeys(f.name for f in features)
        given |= {f.candidate: None for f in features if isinstance(f, Sequence) and f.candidate}
        return [self._by_name[name] for name in given]

    def _reads(self, features) -> list[tuple[Any, list[TableRead]]]:
        """Returns each table that features read, with its readers."""
        of_tables: list[list[TableRead]] = [[] for _ in self._tables]
        of_actions = []
        for feature in features:
            owner = feature.of if isinstance(feature, Sequence) else feature.name
            if owner in self._table_of:
                index = self._table_of[owner]
                offset, num_rows = self._tables[index].offsets[owner], self._by_name[owner].num_rows
                read = TableRead(feature.name, num_rows, offset, _is_list(feature))
                of_tables[index].append(read)
            if isinstance(feature, Sequence) and feature.action is not None:
                read = TableRead(f"{feature.name}.action", feature.num_action_rows, 0, listed=True)
                of_actions.append((self.action_tables[feature.name], [read]))
        return [(t, some) for t, some in zip(self.tables, of_tables) if some] + of_actions

    def _field(self, feature: Any, inputs, vectors, training):
        name = feature.name
        if isinstance(feature, Sequence):
            return self._sequence(feature, inputs, vectors, training)
        if isinstance(feature, Embedding):
            direction = feature.l2_normalize and feature.project_to is None
            field = bounded_cast(inputs[name], self.dtype_policy, direction)
            if feature.project_to is not None:
                field = ops.matmul(field, ops.cast(self.projections[name], self.compute_dtype))
            return field
        if self._is_number(feature):
            value: Any = bounded_cast(inputs[name], self.dtype_policy)
            return ops.expand_dims(value, 1) if len(value.shape) == 1 else value
        if _is_list(feature):
            return _POOL[feature.pooling](vectors[name], valid_places(inputs[name]))
        return vectors[name]

    def _sequence(self, feature: Sequence, inputs, vectors, training):
        name = feature.name
        mask = valid_places(inputs[name])  # (batch, length)
        parts = [vectors[name]]
        if feature.action is not None:
            parts.append(vectors[f"{name}.action"])
        if feature.candidate is not None:
            candidate = ops.expand_dims(vectors[feature.candidate], 1)
            parts.append(ops.repeat(candidate, feature.max_length, axis=1))
        tokens = ops.concatenate(parts, axis=-1) if len(parts) > 1 else parts[0]
        if name not in self.transformers:
            return _POOL[feature.encoder.mode](tokens, mask)  # pyright: ignore
        arguments = [tokens, mask]
        if feature.time is not None:
            arguments.append(ops.cast(inputs[f"{name}.age"], "float32"))
        return self.transformers[name](arguments, training=training)

    def _transformer_shapes(self, feature: Any) -> list[Shape]:
        return transformer_shapes(feature, event_width(feature, self._by_name))


def _is_list(feature: Any) -> bool:
    return isinstance(feature, Sequence) or (
        isinstance(feature, Categorical) and feature.multivalued
    )
