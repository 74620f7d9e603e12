"""Plans the way from fields to heads: which views and adapters stand between the blocks."""

from collections.abc import Sequence as SequenceOf
from typing import Any

import keras

from kranking._core import serializable
from kranking.features import FieldEncoder
from kranking.layers import Tokenizer, Work, takes_of
from kranking.models._views import VIEWS, FieldView, kinds_of

Layers = list[keras.layers.Layer]


def assemble(
    encoder: FieldEncoder, blocks: SequenceOf[keras.layers.Layer], heads: Any, num_tasks: int
) -> Layers:
    """Builds what stands after the encoder: the first block's view, blocks and adapters, heads.

    Args:
        encoder: The field encoder.
        blocks: Layers in order. Those that are built keep their weights.
        heads: Layer from flat to logits.
        num_tasks: Number of logits.

    Returns:
        All layers in order, built. The first takes fields and inputs, the last gives logits.
    """
    inputs = {
        name: (None, *spec.shape) for f in encoder.features for name, spec in f.inputs().items()
    }
    _build(encoder, inputs)
    pair = [encoder.compute_output_shape(inputs), inputs]
    wanted = _wanted(blocks[0]) if blocks else "flat"
    name = f"{wanted}_view" if isinstance(wanted, str) else "views"
    stack: Layers = []
    shape = _append(
        stack, FieldView(wanted, encoder.features, name=name, dtype=encoder.dtype_policy), pair
    )
    if blocks:
        _fill(blocks[0], encoder)
    for position, block in enumerate(blocks):
        if position:
            shape = _adapt(stack, block, shape, position)
        shape = _append(stack, block, shape)
        if len(shape) not in (2, 3) or isinstance(shape, list):
            raise ValueError(
                f"Block {block.name!r} must give a flat (batch, width) or tokens (batch, tokens, dim). "
                f"Received: {shape}"
            )
    if getattr(heads, "num_tasks", num_tasks) is None:
        heads.num_tasks = num_tasks
    if len(shape) == 3:
        shape = _append(stack, keras.layers.Flatten(name="flatten_before_heads"), shape)
    shape = _append(stack, heads, shape)
    if shape != (None, num_tasks):
        raise ValueError(
            f"`heads` must give one logit per task, (batch, {num_tasks}). "
            f"Received: {heads.name!r}, which gives {shape}"
        )
    return stack


def _wanted(block: keras.layers.Layer) -> Any:
    """Says which view, or views in a tuple, the first block takes."""
    takes = takes_of(block) or "flat"
    if isinstance(takes, str):
        if takes not in VIEWS:
            raise ValueError(
                f"`takes` of {block.name!r} must be one of {list(VIEWS)}. Received: {takes!r}"
            )
        return takes
    takes = tuple(part or "flat" for part in takes)
    return takes if len(set(takes)) > 1 else takes[0]


def _fill(block: Any, encoder: FieldEncoder) -> None:
    """Tells the first block which fields there are, where its arguments leave that open."""
    if isinstance(block, Tokenizer) and block.kinds is None:
        block.kinds = kinds_of(encoder.features)
    if getattr(block, "field_dims", 0) is None:
        block.field_dims = tuple(encoder.field_widths.values())


def _adapt(stack: Layers, block: keras.layers.Layer, shape: Any, position: int) -> Any:
    """Puts a Flatten where a flat block follows tokens; refuses what cannot be adapted."""
    takes = takes_of(block)
    wanted = {takes} if isinstance(takes, str) or takes is None else set(takes)
    rank = len(shape)
    unknown = wanted - {"flat", "tokens", None}
    if unknown:
        raise ValueError(
            f"Block {block.name!r} takes {sorted(unknown)[0]!r}, which only the first block can. "
            f"Received: it stands at position {position}. Put it first, or inside a "
            "kranking.layers.Parallel that stands first."
        )
    if rank == 2 and "tokens" in wanted:
        raise ValueError(
            f"Block {block.name!r} takes tokens (batch, tokens, dim), but the block before it gives a flat "
            f"vector of width {shape[-1]}. Insert keras.layers.Reshape((tokens, dim)) with "
            f"tokens * dim = {shape[-1]}, after a keras.layers.Dense if the width has to change."
        )
    if rank == 3 and wanted == {"flat"}:
        return _append(stack, keras.layers.Flatten(name=f"flatten_before_{position}"), shape)
    if rank == 3 and isinstance(takes, tuple) and "flat" in wanted:
        return _append(stack, TokensAndFlat(takes, name=f"views_before_{position}"), shape)
    return shape


def _append(stack: Layers, layer: Any, shape: Any) -> Any:
    _build(layer, shape)
    stack.append(layer)
    out = layer.compute_output_shape(shape)
    return (
        tuple(out) if isinstance(out, tuple) or not isinstance(out[0], tuple | list) else list(out)
    )


def _build(layer: Any, shape: Any) -> None:
    if not layer.built:
        layer.build(shape)


@serializable
class TokensAndFlat(keras.layers.Layer):
    """Gives each branch of a parallel block its own view of the tokens: as they are, or flattened.

    Args:
        takes: What each branch takes.
        **kwargs: Keyword arguments of `keras.layers.Layer`.
    """

    def __init__(self, takes: SequenceOf[str], **kwargs):
        super().__init__(**kwargs)
        self.takes_each = tuple(takes)

    def call(self, inputs):
        flat = keras.ops.reshape(inputs, (-1, inputs.shape[1] * inputs.shape[2]))
        return [flat if takes == "flat" else inputs for takes in self.takes_each]

    def compute_output_shape(self, input_shape):
        flat = (input_shape[0], input_shape[1] * input_shape[2])
        return [flat if takes == "flat" else tuple(input_shape) for takes in self.takes_each]

    def get_config(self):
        return {**super().get_config(), "takes": self.takes_each}

    def work(self, input_shape):
        """A reshape costs nothing."""
        return Work()
