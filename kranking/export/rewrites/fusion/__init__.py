"""Writing what a graph does by many operators with fewer, so that the answers stay what they are."""

from collections.abc import Mapping
from typing import Any

from kranking.export.rewrites._nodes import read_by
from kranking.export.rewrites.fusion._columns import narrow_columns
from kranking.export.rewrites.fusion._dense import apply_to_rows, fix_shapes, join_reshapes
from kranking.export.rewrites.fusion._graph import Graph
from kranking.export.rewrites.fusion._layer_norms import fuse_layer_norms
from kranking.export.rewrites.fusion._lookups import look_up_unit_rows, slice_before_lookup
from kranking.export.rewrites.fusion._pooling import pool_by_product
from kranking.export.rewrites.fusion._rewrite import rewrite
from kranking.export.rewrites.fusion._slices import (
    activate_before_slices,
    join_slices,
    split_once,
    take_places,
)

_RULES = (
    fuse_layer_norms,
    fix_shapes,
    apply_to_rows,
    join_reshapes,
    look_up_unit_rows,
    slice_before_lookup,
    pool_by_product,
    take_places,
    join_slices,
    activate_before_slices,
    split_once,
)


def fuse(model: Any, outside: Mapping[str, Any] | None = None) -> dict[str, int]:
    """Applies every rule, in order and each as long as it finds something, to an ONNX model in place.

    Runtimes fuse too, but know neither what a table holds nor that only rows vary in number; starting an
    operator takes them one to two microseconds, and a ranking model has some two hundred.

    Args:
        model: An ONNX model of operator set 17 or 18 as tf2onnx writes it.
        outside: By name, the Keras variables behind constants whose content lies in another file.

    Returns:
        How many places each rule changed.
    """
    changed = {}
    graph = Graph(model, outside or {})
    for rule in _RULES:
        changed[rule.__name__] = 0
        while changes := rule(graph):
            changed[rule.__name__] += len(changes)
            rewrite(model.graph, changes)
            graph = Graph(model, outside or {})  # shapes are inferred anew: the costly part
    return changed


def narrow(model: Any) -> None:
    """Lets a part of a model compute and ask for what its outputs need, in place."""
    while changes := narrow_columns(Graph(model, {})):
        rewrite(model.graph, changes)
    read = {name for node in model.graph.node for name in read_by(node)}
    read |= {value.name for value in model.graph.output}
    inputs = [value for value in model.graph.input if value.name in read]
    copies = [type(value).FromString(value.SerializeToString()) for value in inputs]
    del model.graph.input[:]
    model.graph.input.extend(copies)
