"""A model as a list of blocks that can be edited, as `keras.Sequential` is one of layers."""

from collections.abc import Iterable
from typing import Any

import keras

from kranking.features import Feature, FieldEncoder
from kranking.layers import Work, work_of
from kranking.models._arguments import check_block
from kranking.models._stack import assemble
from kranking.models._walk import build_layers, walk

Blocks = tuple[keras.layers.Layer, ...]


class BlockModel(keras.Model):
    """Abstract: an encoder, blocks and heads, with the adapters that make each fit the one before.

    Args:
        features: Fitted declarations.
        heads: Layer from a flat vector to logits.
        num_logits: Number of logits.
        **kwargs: Keyword arguments of `keras.Model`.

    Attributes:
        encoder: The layer from inputs to fields.
        stack: The layers behind the encoder, adapters included; empty until they are needed.
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
        """The declarations."""
        return self.encoder.features

    @property
    def blocks(self) -> Blocks:
        """The layers between fields and heads, without the builder's adapters."""
        return self._parts.blocks

    @property
    def heads(self) -> keras.layers.Layer:
        """The layer that returns the logits."""
        self.build()
        return self.stack[-1]

    def add(self, block: keras.layers.Layer) -> None:
        """Appends a block. On a built model, the heads start anew."""
        check_block(block, self.blocks)
        self._replace_blocks((*self.blocks, block))

    def pop(self) -> keras.layers.Layer:
        """Removes the last block and returns it. On a built model, the heads start anew."""
        if not self.blocks:
            raise ValueError("There is no block to remove. Received: a model without blocks")
        last = self.blocks[-1]
        self._replace_blocks(self.blocks[:-1])
        return last

    def _replace_blocks(self, blocks: Blocks) -> None:
        if not self.built:
            self._parts.blocks = blocks
            self.stack.clear()  # a plan that `work` has made
            return
        heads = type(self.heads).from_config(self.heads.get_config())
        # Built first, so that a block that does not fit leaves the model as it was.
        stack = assemble(self.encoder, blocks, heads, self._num_logits, self.stack[0])
        build_layers(self.encoder, stack)
        self._parts.blocks, self._parts.heads = blocks, heads
        self.stack.clear()
        self.stack.extend(stack)
        self.compiled = False  # the optimizer's slots belong to the weights that were
        self.train_function = self.test_function = self.predict_function = None  # as do these

    def _lock_state(self):
        # Like keras.Sequential, and unlike other layers: blocks can be added after the model is built.
        return

    def build(self, input_shape=None):
        """Builds every layer; shapes are known from the declarations."""
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
        """Parameters, matrix-product FLOPs per row and kept activations, summed over all layers."""
        return sum((work for _, work in self.layer_work()), Work())

    def layer_work(self) -> list[tuple[keras.layers.Layer, Work]]:
        """Returns each layer with its work, from the fields to the heads; needs no weights."""
        self._plan()
        steps = walk(self.encoder, self.stack)
        return [(layer, work_of(layer, shape)) for layer, shape, _ in steps]


class _Parts:
    """Blocks and heads out of sight of Keras, which would list them before their view."""

    def __init__(self, heads: keras.layers.Layer):
        self.blocks: Blocks = ()
        self.heads = heads
