"""First-order terms: one weight per feature value and task."""

from collections.abc import Sequence as SequenceOf
from dataclasses import replace
from typing import Any

import keras
from keras import ops

from kranking._core import serializable
from kranking.features import Categorical, Embedding, Feature, FieldEncoder, Numeric, Sequence
from kranking.features.internal import from_config, to_config
from kranking.layers import Work, work_of


@serializable
class FirstOrder(keras.layers.Layer):
    """First-order term of each feature, `w_f[x_f]`, or `w_f · x_f` for a number.

    The tables have the rows of the embedding tables and one column per task; several values of one feature
    are pooled as its embeddings are. L2 normalization is not applied: it would reduce a single number to
    its sign.

    Args:
        features: Fitted feature declarations.
        num_tasks: Number of tasks T.
        **kwargs: Keyword arguments of `keras.layers.Layer`.

    Inputs: the dict of model inputs.
    Output shape: `(batch, features, num_tasks)`.
    """

    def __init__(self, features: SequenceOf[Any], num_tasks: int = 1, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.features = tuple(from_config(f) if isinstance(f, dict) else f for f in features)
        self.num_tasks = num_tasks
        self.encoder = FieldEncoder(
            [_of_width(f, num_tasks) for f in self.features], name="terms", dtype=self.dtype_policy
        )
        self._numbers = [
            i for i, f in enumerate(self.features) if isinstance(f, Numeric) and not f.bucketized
        ]

    def build(self, input_shape):
        self.encoder.build(input_shape)
        self.kernel = None
        if self._numbers:
            shape = (len(self._numbers), self.num_tasks)
            # Zeros, as in linear models: with random weights, numbers would dominate the first logits.
            self.kernel = self.add_weight(shape=shape, initializer="zeros", name="number_weights")

    def call(self, inputs):
        terms = list(self.encoder(inputs).values())
        for row, position in enumerate(self._numbers):
            weights = ops.cast(self.kernel[row], self.compute_dtype)  # pyright: ignore
            terms[position] = terms[position] * weights  # (batch, 1) · (tasks,)
        return ops.stack(terms, axis=1)

    def compute_output_shape(self, input_shape):
        batch = next(iter(input_shape.values()))[0]
        return (batch, len(self.features), self.num_tasks)

    def get_config(self):
        features = [to_config(f) for f in self.features]
        return {**super().get_config(), "features": features, "num_tasks": self.num_tasks}

    def work(self, input_shape) -> Work:
        """Returns the work of the tables, of one weight per number and task, and of the terms."""
        terms = len(self.features) * self.num_tasks
        weights = Work(len(self._numbers) * self.num_tasks, 0, terms)
        return work_of(self.encoder, input_shape) + weights


def _of_width(feature: Feature, width: int) -> Feature:
    if isinstance(feature, Embedding):
        return replace(feature, project_to=width, l2_normalize=False)
    if isinstance(feature, Sequence):
        plain: Any = type(feature).__dataclass_fields__["encoder"].default
        return replace(
            feature,
            encoder=plain,
            action=None,
            action_vocabulary=None,
            candidate=None,
            l2_normalize=False,
        )
    if isinstance(feature, Categorical | Numeric):
        return replace(feature, embedding_dim=width, l2_normalize=False)
    return feature
