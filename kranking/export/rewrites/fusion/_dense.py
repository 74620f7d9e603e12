"""Fusion rules for dense layers on lists, which move the reshape after rowwise operators."""

from typing import Any

from kranking.export.rewrites.fusion._graph import Graph, node
from kranking.export.rewrites.fusion._rewrite import Changes

_BY_ELEMENT = ("Relu", "Sigmoid", "Tanh")


def fix_shapes(graph: Graph) -> Changes:
    """Replaces a computed shape by a constant if only the number of rows is dynamic."""
    changes = {}
    for last in graph.nodes:
        if last.op_type != "Reshape" or last.input[1] in graph.constants:
            continue
        output = last.output[0]
        shape = graph.shapes.get(output, ())
        if shape[:1] == (None,) and all(shape[1:]):
            lists = graph.integers(-1, *(size or 0 for size in shape[1:]))
            changes[output] = [node("Reshape", [last.input[0], lists], output)]
    return changes


def apply_to_rows(graph: Graph) -> Changes:
    """Adds the bias and applies the activation before the rows of a product are reshaped to lists.

    `relu(reshape(x W) + b) = reshape(relu(x W + b))`. Runtimes have one operator for the right side.
    """
    changes = {}
    for last in graph.nodes:
        lists, bias = None, []
        if last.op_type == "Add":
            lists, other = graph.either(last.input, "Reshape")
            bias = [other]
        elif last.op_type in _BY_ELEMENT:
            lists = graph.inner(last.input[0], "Reshape")
        if lists is None or not _is_dense(graph, lists, bias):
            continue
        output = last.output[0]
        changes[output] = [
            node(last.op_type, [lists.input[0], *bias], f"{output}/rows"),
            node("Reshape", [f"{output}/rows", lists.input[1]], output),
        ]
    return changes


def join_reshapes(graph: Graph) -> Changes:
    """Replaces two consecutive reshapes by the second one, and removes those without effect."""
    changes = {}
    for last in graph.nodes:
        shape = graph.constants.get(last.input[1]) if last.op_type == "Reshape" else None
        if shape is None or not shape.size or 0 in shape:  # 0 copies a size of the input
            continue
        output, x = last.output[0], last.input[0]
        first = graph.maker(x, "Reshape")
        before = graph.shapes.get(x, ())
        if before[1:] == tuple(shape[1:]) and shape[0] == -1 and before[:1] == (None,):
            changes[output] = [node("Identity", [x], output)]
        elif first is not None:
            changes[output] = [node("Reshape", [first.input[0], last.input[1]], output)]
    return changes


def _is_dense(graph: Graph, lists: Any, bias: list[str]) -> bool:
    """Whether rows of a product are reshaped without the last axis, and the bias is along that axis."""
    rows = lists.input[0]
    width = graph.shapes.get(rows, (None,))[-1:]
    shape = graph.constants.get(lists.input[1])
    if graph.inner(rows, "MatMul" if bias else "Add") is None or shape is None:
        return False
    return width == (shape[-1],) and all(
        name in graph.constants and graph.shapes[name] == width for name in bias
    )
