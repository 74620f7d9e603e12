"""A model as an editable list of blocks, similar to `keras.Sequential`."""

from collections.abc import Iterable, Mapping
from typing import Any

import keras

from kranking._paths import as_path, path_errors
from kranking.features import Feature, FieldEncoder
from kranking.layers import Work, work_of
from kranking.models._arguments import as_keras_path, check_block
from kranking.models._in_float32 import float32_config
from kranking.models._row_training import RowTraining
from kranking.models._stack import assemble
from kranking.models._walk import build_layers, call_layers, walk
from kranking.models._weights_file import (
    check_identity,
    store_identity,
    stored_identity,
    unchanged_on_failure,
)

Blocks = tuple[keras.layers.Layer, ...]


class BlockModel(RowTraining, keras.Model):
    """Abstract base of models with an encoder, blocks, heads and the adapters between them.

    Args:
        features: Fitted feature declarations.
        heads: Layer from a flat vector to logits.
        num_logits: Number of logits.
        **kwargs: Keyword arguments of `keras.Model`.

    Attributes:
        encoder: Layer from inputs to fields.
        stack: Layers after the encoder, including adapters; empty until they are needed.
    """

    def __init__(
        self, features: Iterable[Feature], heads: keras.layers.Layer, num_logits: int, **kwargs
    ):
        super().__init__(**kwargs)
        self.encoder = FieldEncoder(features, name="fields", dtype=self.dtype_policy)
        self._parts = _Parts(heads)
        self._num_logits = num_logits
        self.stack: list[Any] = []

    @property
    def features(self) -> tuple[Feature, ...]:
        """The feature declarations."""
        return self.encoder.features

    @property
    def blocks(self) -> Blocks:
        """The layers between fields and heads, without adapters."""
        return self._parts.blocks

    @property
    def heads(self) -> keras.layers.Layer:
        """The layer that returns the logits."""
        self.build()
        return self.stack[-1]

    def hidden(self, inputs: Mapping[str, Any], training: bool | None = None) -> Any:
        """Computes what the heads read: the last hidden vector `(batch, width)`.

        Args:
            inputs: Model inputs by name, from `model.preprocess(rows)` or a reader.
            training: Whether layers such as dropout are in training.
        """
        self.build()
        needed = self.stack[0].needs_fields
        fields = self.encoder(inputs, training=training) if needed else {}
        return call_layers(self.stack[:-1], fields, inputs, training)

    def in_float32(self) -> Any:
        """Returns the same model in float32, not compiled, as exports of a half-precision model need.

        Numbers of a log are bounded as in the training under `mixed_float16`, to ±1,024.
        """
        self.build()
        known = {type(layer).__name__: type(layer) for layer in self._flatten_layers()}
        with keras.saving.custom_object_scope(known):  # those that nobody registered
            model = type(self).from_config(float32_config(self))
        model.set_weights(self.get_weights())
        return model

    def add(self, block: keras.layers.Layer) -> None:
        """Appends a block. On a built model, the heads are reinitialized."""
        check_block(block, self.blocks)
        self._replace_blocks((*self.blocks, block))

    def pop(self) -> keras.layers.Layer:
        """Removes and returns the last block. On a built model, the heads are reinitialized."""
        if not self.blocks:
            raise ValueError("The model has no block to remove. Received: blocks=()")
        last = self.blocks[-1]
        self._replace_blocks(self.blocks[:-1])
        return last

    def _replace_blocks(self, blocks: Blocks) -> None:
        if not self.built:
            self._parts.blocks = blocks
            self.stack.clear()  # a plan created by `work`
            return
        heads = type(self.heads).from_config(self.heads.get_config())
        # Built first, so that a block that does not fit leaves the model unchanged.
        stack = assemble(self.encoder, blocks, heads, self._num_logits, self.stack[0])
        build_layers(self.encoder, stack)
        self._parts.blocks, self._parts.heads = blocks, heads
        self.stack.clear()
        self.stack.extend(stack)
        self.compiled = False  # the slots of the optimizer belong to the old weights
        self.train_function = self.test_function = self.predict_function = None  # likewise

    def _lock_state(self):
        # As in keras.Sequential, and unlike other layers, blocks can be added after building.
        return

    def build(self, input_shape=None):
        """Builds all layers; their shapes follow from the declarations."""
        if self.built:
            return
        self._plan()
        build_layers(self.encoder, self.stack)
        self.built = True

    def _plan(self):
        if not self.stack:
            heads = self._parts.heads
            self.stack.extend(assemble(self.encoder, self.blocks, heads, self._num_logits))

    def work(self, input_shape=None) -> Work:
        """Computes parameters, matrix-product FLOPs per row and saved activations of all layers."""
        return sum((work for _, work in self.layer_work()), Work())

    def layer_work(self) -> list[tuple[keras.layers.Layer, Work]]:
        """Returns each layer with its work, from the fields to the heads, without creating weights."""
        self._plan()
        steps = walk(self.encoder, self.stack)
        return [(layer, work_of(layer, shape)) for layer, shape, _ in steps]

    def load_weights(self, filepath, skip_mismatch=False, **kwargs):
        """Loads weights like `keras.Model.load_weights`; an error leaves the model as it was.

        Raises:
            ValueError: If the file is damaged or has the weights of another model; with
                `skip_mismatch=True`, weights of other models are loaded where their shapes agree.
        """
        self.build()
        self._identity_in_file = None
        as_path("filepath", filepath)
        with unchanged_on_failure(self, filepath), path_errors(filepath):
            failure = None
            try:
                super().load_weights(filepath, skip_mismatch=skip_mismatch, **kwargs)
            except Exception as error:  # the reason may be another model, which is said first
                failure = error
            if not skip_mismatch:
                check_identity(self, filepath, self._identity_in_file)
            if failure is not None:
                raise failure

    def save_weights(self, filepath, *args, **kwargs):
        """Saves weights like `keras.Model.save_weights`, to a file `.weights.h5`."""
        self.build()
        with path_errors(as_path("filepath", filepath)):
            super().save_weights(filepath, *args, **kwargs)

    def save(self, filepath, *args, **kwargs):
        """Saves like `keras.Model.save`; creates the weights first if they do not exist yet."""
        self.build()
        with path_errors(as_keras_path(filepath)):
            super().save(filepath, *args, **kwargs)

    def save_own_variables(self, store):
        super().save_own_variables(store)
        store_identity(self, store)

    def load_own_variables(self, store):
        found, self._identity_in_file = stored_identity(store)
        super().load_own_variables(found)


class _Parts:
    """Hides blocks and heads from Keras, which would list them before the view of the first block."""

    def __init__(self, heads: keras.layers.Layer):
        self.blocks: Blocks = ()
        self.heads = heads
