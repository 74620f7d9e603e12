"""Plans the way from fields to heads: which views and adapters stand between the blocks."""

from collections.abc import Sequence as SequenceOf
from typing import Any

import keras

from kranking.features import FieldEncoder
from kranking.layers import Work, fill, takes_of, work_of
from kranking.models._later_view import LATER_VIEWS, LaterView, given_to
from kranking.models._views import VIEWS, FieldView, frozen, id_sizes, kinds_of, leaves

Layers = list[keras.layers.Layer]


class Given:
    """Holds blocks and heads out of sight of Keras, which would list them before their view."""

    def __init__(self, heads: keras.layers.Layer):
        self.blocks: tuple[keras.layers.Layer, ...] = ()
        self.heads = heads


def assemble(
    encoder: FieldEncoder,
    blocks: SequenceOf[keras.layers.Layer],
    heads: Any,
    num_tasks: int,
    old_view: FieldView | None = None,
) -> Layers:
    """Plans what stands after the encoder: the first block's view, blocks and adapters, heads.

    Args:
        encoder: The field encoder.
        blocks: Layers in order. Those that are built keep their weights.
        heads: Layer from flat to logits.
        num_tasks: Number of logits.
        old_view: The view of the stack before a block was added or removed; kept, with its
            weights, where it still fits.

    Returns:
        All layers in order; `build_all` makes their weights. The first takes fields and inputs, the
        last gives logits.
    """
    wanted = _wanted(blocks[0]) if blocks else "flat"
    view = old_view
    if view is None or view.views != wanted:
        name = f"{wanted}_view" if isinstance(wanted, str) else "views"
        view = FieldView(
            wanted, encoder.features, num_tasks=num_tasks, name=name, dtype=encoder.dtype_policy
        )
    stack: Layers = []
    pair = pair_of(encoder)
    shape, inputs = _append(stack, view, pair), pair[1]
    open_values = {
        "field_dims": tuple(encoder.field_widths.values()),
        "id_sizes": id_sizes(encoder.features),
        "kinds": kinds_of(encoder.features),
        "num_tasks": num_tasks,
    }
    for position, block in enumerate(blocks):
        fill(block, position == 0, **open_values)
        if position:
            for adapter in _adapters(block, shape, position, encoder):
                shape = _append(stack, adapter, given_to(adapter, shape, inputs))
        shape = _append(stack, block, shape)
        if len(shape) not in (2, 3) or isinstance(shape, list):
            raise ValueError(
                f"Block {block.name!r} must give a flat (batch, width) or tokens (batch, tokens, dim). "
                f"Received: {shape}"
            )
    if not heads.built:
        # Rounded logits tie, and ties make ranking metrics a matter of chance.
        heads.dtype_policy = keras.DTypePolicy("float32")
    fill(heads, False, num_tasks=num_tasks)
    if len(shape) == 3:
        shape = _append(stack, keras.layers.Flatten(name="flatten_before_heads"), shape)
    shape = _append(stack, heads, shape)
    if shape != (None, num_tasks):
        raise ValueError(
            f"`heads` must give one logit per task, (batch, {num_tasks}). "
            f"Received: {heads.name!r}, which gives {shape}"
        )
    return stack


def pair_of(encoder: FieldEncoder) -> list[Any]:
    """Gives the shapes that a stack starts from: those of the fields and of the inputs."""
    inputs = {
        name: (None, *spec.shape) for f in encoder.features for name, spec in f.inputs().items()
    }
    return [encoder.compute_output_shape(inputs), inputs]


def build_all(encoder: FieldEncoder, stack: Layers) -> None:
    """Makes the weights of the encoder, if the stack reads its fields, and of every layer."""
    shape: Any = pair_of(encoder)
    inputs = shape[1]
    if stack[0].needs_fields:
        _build(encoder, inputs)
    for layer in stack:
        shape = given_to(layer, shape, inputs)
        _build(layer, shape)
        shape = output_shape(layer, shape)


def works_of(encoder: FieldEncoder, stack: Layers) -> list[tuple[keras.layers.Layer, Work]]:
    """Gives each layer with its work, the encoder first if the stack reads its fields."""
    shape: Any = pair_of(encoder)
    inputs = shape[1]
    works: list[Any] = [(encoder, work_of(encoder, inputs))] if stack[0].needs_fields else []
    for layer in stack:
        shape = given_to(layer, shape, inputs)
        works.append((layer, work_of(layer, shape)))
        shape = output_shape(layer, shape)
    return works


def _wanted(block: keras.layers.Layer) -> Any:
    """Says which view, or views in a tuple, the first block takes."""
    takes = frozen(takes_of(block))
    unknown = [view for view in leaves(takes) if view not in (None, *VIEWS)]
    if unknown:
        raise ValueError(
            f"`takes` of {block.name!r} must be one of {list(VIEWS)}. Received: {unknown[0]!r}"
        )
    return _collapsed(takes, default="flat")


def _collapsed(takes: Any, default: str | None) -> Any:
    """Gives one view where all branches take the same, so that it is handed on once."""
    if not isinstance(takes, tuple):
        return takes or default
    parts = tuple(_collapsed(part, default) for part in takes)
    # A list must stay one per branch: two fields, or two inputs, for two branches would be shared out.
    same = len(set(parts)) == 1 and not isinstance(parts[0], tuple) and parts[0] != "fields"
    return parts[0] if same else parts


def _adapters(block: Any, shape: Any, position: int, encoder: FieldEncoder) -> Layers:
    """Gives what stands before a later block, if anything; refuses what cannot be adapted."""
    takes = _collapsed(frozen(takes_of(block)), default=None)
    wanted = set(leaves(takes))
    rank = len(shape)
    _check_later(block, wanted, position)
    if rank == 2 and "tokens" in wanted:
        raise ValueError(
            f"Block {block.name!r} takes tokens (batch, tokens, dim), but the block before it gives a flat "
            f"vector of width {shape[-1]}. Insert keras.layers.Reshape((tokens, dim)) with "
            f"tokens * dim = {shape[-1]}, after a keras.layers.Dense if the width has to change."
        )
    if rank == 3 and wanted == {"flat"}:
        return [keras.layers.Flatten(name=f"flatten_before_{position}")]
    if "numeric" in wanted or (rank == 3 and isinstance(takes, tuple) and "flat" in wanted):
        name = f"views_before_{position}"
        return [LaterView(takes, encoder.features, name=name, dtype=encoder.dtype_policy)]
    return []


def _check_later(block: Any, wanted: set[Any], position: int) -> None:
    unknown = wanted - set(LATER_VIEWS)
    if unknown:
        raise ValueError(
            f"Block {block.name!r} takes {min(map(str, unknown))!r}, which only the first block can. "
            f"Received: it stands at position {position}. Put it first, or inside a "
            "kranking.layers.Parallel that stands first."
        )
    if wanted == {"numeric"}:
        raise ValueError(
            f"Block {block.name!r} takes raw numbers and nothing else, so what the blocks before it give "
            f"would be lost. Received: it stands at position {position}. Put it first, or beside "
            "keras.layers.Identity() in a kranking.layers.Parallel."
        )


def _append(stack: Layers, layer: Any, shape: Any) -> Any:
    stack.append(layer)
    out = output_shape(layer, shape)
    return (
        tuple(out) if isinstance(out, tuple) or not isinstance(out[0], tuple | list) else list(out)
    )


def _build(layer: Any, shape: Any) -> None:
    if layer.built:
        return
    if type(layer).build is keras.layers.Layer.build:
        layer(_symbolic(layer, shape))  # a layer that leaves building to its first call
    elif isinstance(layer, keras.Sequential) and isinstance(shape, list):
        for inner in layer.layers:  # Keras leaves a chain of several inputs to its first call
            _build(inner, shape)
            shape = output_shape(inner, shape)
    else:
        layer.build(shape)


def output_shape(layer: Any, shape: Any) -> Any:
    """Gives a layer's output shape, also of one that knows it by a call only."""
    if type(layer).compute_output_shape is keras.layers.Layer.compute_output_shape:
        _build(layer, shape)  # its shapes are known from a symbolic call only
        return layer.compute_output_spec(_symbolic(layer, shape)).shape
    return layer.compute_output_shape(shape)


def _symbolic(layer: Any, shape: Any) -> Any:
    if shape and isinstance(shape[0], tuple | list):
        return [_symbolic(layer, part) for part in shape]
    return keras.KerasTensor(shape, layer.compute_dtype)
