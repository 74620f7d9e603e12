"""Adapter from fields and inputs to the views that the first block takes."""

from collections.abc import Sequence as SequenceOf
from typing import Any

import keras
from keras import ops

from kranking._core import serializable
from kranking.features import Categorical, Feature, Numeric, field_widths
from kranking.features.internal import from_config, rows_within, to_config
from kranking.layers import Concatenate, Stack, Tokenizer, Work, work_of
from kranking.layers.internal import leaves, select_inputs
from kranking.models._first_order import FirstOrder

VIEWS = ("flat", "tokens", "embeddings", "categorical", "fields", "ids", "linear", "numeric")
DEFAULT_TOKEN_DIM = 32
Views = Any  # a name from VIEWS, or a tuple of Views, one for each branch of a Parallel


def as_tuples(views: Views) -> Views:
    """Converts nested lists of views, as in saved configurations, to tuples."""
    return views if isinstance(views, str) or views is None else tuple(map(as_tuples, views))


def kinds_of(features: SequenceOf[Feature]) -> tuple[str, ...]:
    """Returns the kind of each field for tokenizers: `"numeric"`, `"sequence"` or `"field"`."""
    return tuple("field" if isinstance(f, Numeric) and f.bucketized else f.kind for f in features)


@serializable
class FieldView(keras.layers.Layer):
    """Views of the fields and inputs for the first block of a model.

    `flat` is the concatenation of all fields and `fields` a list of them. `tokens` stacks the fields if
    their widths are equal, and otherwise projects them to a common width. `embeddings` does the same
    without plain numbers, and `categorical` with single-valued categoricals only. `ids` contains the table
    rows of the latter, `numeric` the concatenated numbers, `linear` a first-order term per feature and
    task.

    Args:
        views: One of `VIEWS`; or several, one for each branch of a `Parallel` that is the first block,
            nested like the branches.
        features: Fitted feature declarations.
        token_dim: Width of projected tokens. `None` means the common width of the embeddings, or 32.
        num_tasks: Number of columns of a `linear` term.
        **kwargs: Keyword arguments of `keras.layers.Layer`.

    Inputs: a pair, the dict of fields from the encoder and the dict of model inputs.
    Output shape: the shape of the view, or a list of shapes for several views.
    """

    def __init__(
        self,
        views: Views,
        features: SequenceOf[Any],
        token_dim: int | None = None,
        num_tasks: int = 1,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.views = as_tuples(views)
        self.features = tuple(from_config(f) if isinstance(f, dict) else f for f in features)
        self.token_dim = token_dim
        self.num_tasks = num_tasks
        # Branches with the same view share it.
        self._members = {view: members(view, self.features) for view in leaves(self.views)}
        self._num_rows = {f.name: f.num_rows for f in self.features if isinstance(f, Categorical)}
        made = {view: self._adapter(view) for view in self._members}
        self.adapters = {view: adapter for view, adapter in made.items() if adapter is not None}

    @property
    def needs_fields(self) -> bool:
        """Whether a view uses the fields; a linear model does not need embeddings."""
        return not set(self._members) <= {"ids", "linear"}

    def build(self, input_shape):
        for view, adapter in self.adapters.items():
            adapter.build(self._shapes(view, input_shape))

    def call(self, inputs):
        made = {view: self._view(view, *inputs) for view in self._members}
        return select_inputs(made, self.views)

    def _view(self, view: str, fields, columns):
        if view == "ids":
            return ops.stack(
                [rows_within(columns[n], self._num_rows[n]) for n in self._members[view]], axis=1
            )
        if view == "linear":
            return self.adapters[view](columns)
        chosen = [fields[name] for name in self._members[view]]
        return chosen if view == "fields" else self.adapters[view](chosen)

    def compute_output_shape(self, input_shape):
        shapes = {view: self._output_shape(view, input_shape) for view in self._members}
        return select_inputs(shapes, self.views)

    def _output_shape(self, view: str, input_shape):
        shapes = self._shapes(view, input_shape)
        if view == "ids":
            return (next(iter(input_shape[1].values()))[0], len(self._members[view]))
        return shapes if view == "fields" else self.adapters[view].compute_output_shape(shapes)

    def compute_output_spec(self, inputs):
        shapes = [{name: x.shape for name, x in part.items()} for part in inputs]
        specs = {}
        for view in self._members:
            shape = self._output_shape(view, shapes)
            dtype = "int32" if view == "ids" else self.compute_dtype
            if view == "fields":
                specs[view] = [keras.KerasTensor(s, dtype) for s in shape]
            else:
                specs[view] = keras.KerasTensor(shape, dtype)
        return select_inputs(specs, self.views)

    def get_config(self):
        return {
            **super().get_config(),
            "views": self.views,
            "features": [to_config(f) for f in self.features],
            "token_dim": self.token_dim,
            "num_tasks": self.num_tasks,
        }

    def work(self, input_shape) -> Work:
        """Returns the work of all adapters."""
        parts = (work_of(a, self._shapes(view, input_shape)) for view, a in self.adapters.items())
        return sum(parts, Work())

    def _shapes(self, view: str, input_shape) -> Any:
        """Returns the input shapes of the adapter of a view."""
        if view == "linear":
            return input_shape[1]
        return [tuple(input_shape[0][name]) for name in self._members[view]]

    def _adapter(self, view: str) -> Any:
        """Creates the layer that computes a view from its members, if it needs one."""
        dtype = self.dtype_policy
        if view in ("flat", "numeric"):
            return Concatenate(dtype=dtype)
        if view == "linear":
            return FirstOrder(self.features, self.num_tasks, name="first_order", dtype=dtype)
        if view in ("tokens", "embeddings", "categorical"):
            widths = field_widths(self.features)
            kinds = dict(zip(widths, kinds_of(self.features)))
            members = self._members[view]
            if len({widths[name] for name in members}) == 1 and widths[members[0]] > 1:
                return Stack(dtype=dtype)
            dim = self.token_dim or _common_dim(widths, kinds)
            return Tokenizer(dim, kinds=[kinds[name] for name in members], dtype=dtype)
        return None


def id_sizes(features: SequenceOf[Feature]) -> tuple[int, ...]:
    """Returns the number of table rows for each column of the `ids` view."""
    return tuple(f.num_rows for f in features if isinstance(f, Categorical) and not f.multivalued)


def _common_dim(widths: dict[str, int], kinds: dict[str, str]) -> int:
    """Returns the common width of all fields except plain numbers, or the default."""
    found = {width for name, width in widths.items() if kinds[name] != "numeric"}
    return found.pop() if len(found) == 1 and found != {1} else DEFAULT_TOKEN_DIM


def members(view: str, features: SequenceOf[Feature]) -> list[str]:
    """Returns the names of the features in a view; raises `ValueError` if there are none."""
    kinds = kinds_of(features)
    if view == "numeric":
        names = [f.name for f, kind in zip(features, kinds) if kind == "numeric"]
    elif view == "embeddings":
        names = [f.name for f, kind in zip(features, kinds) if kind != "numeric"]
    elif view in ("ids", "categorical"):
        names = [f.name for f in features if isinstance(f, Categorical) and not f.multivalued]
    else:
        names = [f.name for f in features]
    if not names:
        raise ValueError(
            f"A block takes the view {view!r}, but no feature of the model belongs to that view. "
            f"Received: features of kinds {sorted(set(kinds))}"
        )
    return names
