"""Operator fusion: rewrites ONNX graphs to fewer operators without changing their outputs."""

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
    """Applies all rules to an ONNX model in place, in order and each until it finds no more matches.

    Runtimes fuse operators too, but do not use the contents of tables, nor that only the number of rows is
    dynamic. Starting an operator takes them one to two microseconds, and a ranking model has about two
    hundred operators.

    Args:
        model: An ONNX model of operator set 17 or 18, as written by tf2onnx.
        outside: Keras variables by the name of the external constants that store their values.

    Returns:
        The number of changes per rule.
    """
    changed = {}
    graph = Graph(model, outside or {})
    for rule in _RULES:
        changed[rule.__name__] = 0
        while changes := rule(graph):
            changed[rule.__name__] += len(changes)
            rewrite(model.graph, changes)
            graph = Graph(model, outside or {})  # infers shapes again, which takes most of the time
    return changed


def narrow(model: Any) -> None:
    """Removes columns and inputs that the outputs of a partial model do not need, in place."""
    while changes := narrow_columns(Graph(model, {})):
        rewrite(model.graph, changes)
    read = {name for node in model.graph.node for name in read_by(node)}
    read |= {value.name for value in model.graph.output}
    inputs = [value for value in model.graph.input if value.name in read]
    copies = [type(value).FromString(value.SerializeToString()) for value in inputs]
    del model.graph.input[:]
    model.graph.input.extend(copies)
