"""Planning of the layers from fields to heads: views, blocks, adapters and heads."""

from collections.abc import Sequence as SequenceOf
from typing import Any

import keras

from kranking.features import FieldEncoder
from kranking.layers import fill_open_arguments, takes_of
from kranking.layers.internal import leaves
from kranking.models._later_view import LATER_VIEWS, LaterView
from kranking.models._views import VIEWS, FieldView, as_tuples, id_sizes, kinds_of
from kranking.models._walk import initial_shapes, output_shape, stack_input

Layers = list[keras.layers.Layer]


def assemble(
    encoder: FieldEncoder,
    blocks: SequenceOf[keras.layers.Layer],
    heads: Any,
    num_tasks: int,
    old_view: FieldView | None = None,
) -> Layers:
    """Plans the layers after the encoder: the view of the first block, blocks and adapters, heads.

    Args:
        encoder: The field encoder.
        blocks: Layers in order. Built layers keep their weights.
        heads: Layer from a flat vector to logits.
        num_tasks: Number of logits.
        old_view: The view of the stack before a block was added or removed. It is reused, with its
            weights, if it still fits.

    Returns:
        All layers in order; `build_layers` creates their weights. The inputs of the first are fields and
        model inputs, the outputs of the last are logits.
    """
    stack: Layers = []
    shape: Any = initial_shapes(encoder)
    inputs = shape[1]
    shape = _append(stack, _first_view(encoder, blocks, num_tasks, old_view), shape)
    open_values = {
        "field_dims": tuple(encoder.field_widths.values()),
        "id_sizes": id_sizes(encoder.features),
        "kinds": kinds_of(encoder.features),
        "num_tasks": num_tasks,
    }
    for position, block in enumerate(blocks):
        fill_open_arguments(block, position == 0, **open_values)
        if position:
            for adapter in _adapters(block, shape, position, encoder):
                shape = _append(stack, adapter, stack_input(adapter, shape, inputs))
        shape = _append(stack, block, shape)
        if len(shape) not in (2, 3) or isinstance(shape, list):
            raise ValueError(
                f"Block {block.name!r} must return (batch, width) or tokens (batch, tokens, dim). "
                f"Received: {shape}"
            )
    _append_heads(stack, heads, shape, num_tasks)
    return stack


def _first_view(
    encoder: FieldEncoder, blocks: Any, num_tasks: int, old_view: FieldView | None
) -> FieldView:
    """Returns the view for the first block; the old one, with its weights, if it still fits."""
    views = _first_views(blocks[0]) if blocks else "flat"
    if old_view is not None and old_view.views == views:
        return old_view
    name = f"{views}_view" if isinstance(views, str) else "views"
    return FieldView(
        views, encoder.features, num_tasks=num_tasks, name=name, dtype=encoder.dtype_policy
    )


def _append_heads(stack: Layers, heads: Any, shape: Any, num_tasks: int) -> None:
    """Appends flattening, if needed, and the heads; raises unless they return one logit per task."""
    if not heads.built:
        # Rounding causes ties between logits, which make ranking metrics random.
        heads.dtype_policy = keras.DTypePolicy("float32")
    fill_open_arguments(heads, False, num_tasks=num_tasks)
    if len(shape) == 3:
        shape = _append(stack, keras.layers.Flatten(name="flatten_before_heads"), shape)
    shape = _append(stack, heads, shape)
    if shape != (None, num_tasks):
        raise ValueError(
            f"`heads` must return one logit per task, (batch, {num_tasks}). "
            f"Received: {heads.name!r}, which returns {shape}"
        )


def _first_views(block: keras.layers.Layer) -> Any:
    """Returns the view, or a tuple of views, that the first block takes."""
    takes = as_tuples(takes_of(block))
    unknown = [view for view in leaves(takes) if view not in (None, *VIEWS)]
    if unknown:
        raise ValueError(
            f"`takes` of {block.name!r} must be one of {list(VIEWS)}. Received: {unknown[0]!r}"
        )
    return _shared_view(takes, default="flat")


def _shared_view(takes: Any, default: str | None) -> Any:
    """Merges the views of branches that all take the same view, so that it is passed only once."""
    if not isinstance(takes, tuple):
        return takes or default
    parts = tuple(_shared_view(part, default) for part in takes)
    # Lists are not merged: a list of two fields or inputs would be distributed over two branches.
    same = len(set(parts)) == 1 and not isinstance(parts[0], tuple) and parts[0] != "fields"
    return parts[0] if same else parts


def _adapters(block: Any, shape: Any, position: int, encoder: FieldEncoder) -> Layers:
    """Returns the adapters before a later block; raises `ValueError` if none fits."""
    takes = _shared_view(as_tuples(takes_of(block)), default=None)
    views = set(leaves(takes))
    rank = len(shape)
    _check_later(block, views, position)
    if rank == 2 and "tokens" in views:
        raise ValueError(
            f"Block {block.name!r} takes tokens (batch, tokens, dim), but the previous block returns a "
            f"flat vector of width {shape[-1]}. Insert keras.layers.Reshape((tokens, dim)) with "
            f"tokens * dim = {shape[-1]}, after a keras.layers.Dense if the width has to change."
        )
    if rank == 3 and views == {"flat"}:
        return [keras.layers.Flatten(name=f"flatten_before_{position}")]
    if "numeric" in views or (rank == 3 and isinstance(takes, tuple) and "flat" in views):
        name = f"views_before_{position}"
        return [LaterView(takes, encoder.features, name=name, dtype=encoder.dtype_policy)]
    return []


def _check_later(block: Any, views: set[Any], position: int) -> None:
    unknown = views - set(LATER_VIEWS)
    if unknown:
        raise ValueError(
            f"Block {block.name!r} takes {min(map(str, unknown))!r}, which is only available to the first "
            f"block. Received: a block at position {position}. Put it first, or inside a "
            "kranking.layers.Parallel that is first."
        )
    if views == {"numeric"}:
        raise ValueError(
            f"Block {block.name!r} takes only raw numbers, so the output of the previous blocks would be "
            f"lost. Received: a block at position {position}. Put it first, or in a "
            "kranking.layers.Parallel together with keras.layers.Identity()."
        )


def _append(stack: Layers, layer: Any, shape: Any) -> Any:
    stack.append(layer)
    out = output_shape(layer, shape)
    return (
        tuple(out) if isinstance(out, tuple) or not isinstance(out[0], tuple | list) else list(out)
    )
