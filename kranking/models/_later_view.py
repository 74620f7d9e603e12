"""Adapter to the views of later blocks: the previous output, flat or not, and raw numbers."""

from collections.abc import Sequence as SequenceOf
from typing import Any

import keras
from keras import ops

from kranking._core import serializable
from kranking.features import Feature, FieldEncoder
from kranking.features.internal import from_config, to_config
from kranking.layers import Concatenate, Work
from kranking.layers.internal import leaves, select_inputs
from kranking.models._views import Views, as_tuples, members

LATER_VIEWS = ("flat", "tokens", "numeric", None)


@serializable
class LaterView(keras.layers.Layer):
    """Views for a block after the first one, or for each branch of a parallel block.

    `tokens` and `None` are the unchanged output of the previous block, `flat` is that output flattened, and
    `numeric` is the concatenation of the raw numbers, which does not depend on the position of the block.

    Args:
        views: Two or more of `LATER_VIEWS`, nested like the branches of the block.
        features: Fitted feature declarations, of which only the plain numbers are used.
        **kwargs: Keyword arguments of `keras.layers.Layer`.

    Input shape: `(batch, width)` or `(batch, tokens, dim)`; with `numeric` among the views, a list of that
        and the shapes of the dict of model inputs.
    Output shape: a list with the shape of each view.
    """

    def __init__(self, views: Views, features: SequenceOf[Feature | dict] = (), **kwargs):
        # The encoder casts the numbers, as it does for a first block.
        super().__init__(autocast=False, **kwargs)
        self.views = as_tuples(views)
        self.reads_inputs = "numeric" in leaves(self.views)
        given: list[Any] = [from_config(f) if isinstance(f, dict) else f for f in features]
        names = members("numeric", given) if self.reads_inputs else []
        self.numbers = tuple(f for f in given if f.name in names)
        # Has no tables, since numbers have no weights.
        self._encoder = FieldEncoder(self.numbers, dtype=self.dtype_policy) if names else None
        self._join = Concatenate(dtype=self.dtype_policy)

    def build(self, input_shape):
        if self._encoder is not None:
            self._encoder.build(input_shape[1])
            self._join.build([(None, 1) for _ in self.numbers])

    def call(self, inputs):
        x, numeric = inputs, None
        if self._encoder is not None:
            x, columns = inputs
            fields = self._encoder({f.name: columns[f.name] for f in self.numbers})
            numeric = self._join(list(fields.values()))
        flat = x
        if len(x.shape) == 3:
            flat = ops.reshape(x, (-1, x.shape[1] * x.shape[2]))
        return select_inputs({"flat": flat, "tokens": x, None: x, "numeric": numeric}, self.views)

    def compute_output_shape(self, input_shape):
        shape = tuple(input_shape[0] if self.reads_inputs else input_shape)
        flat = (shape[0], shape[1] * shape[2]) if len(shape) == 3 else shape
        numeric = (shape[0], len(self.numbers))
        made = {"flat": flat, "tokens": shape, None: shape, "numeric": numeric}
        return select_inputs(made, self.views)

    def get_config(self):
        numbers = [to_config(f) for f in self.numbers]
        return {**super().get_config(), "views": self.views, "features": numbers}

    def work(self, input_shape) -> Work:
        """Returns the work: reshaping is free, and the concatenated numbers are saved."""
        return Work(saved_elements=len(self.numbers))
