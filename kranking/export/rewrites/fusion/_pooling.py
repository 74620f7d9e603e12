"""Fusion rule for pooling of lists by matrix products."""

from typing import Any

from kranking.export.rewrites._nodes import axis_of
from kranking.export.rewrites.fusion._graph import Graph, node
from kranking.export.rewrites.fusion._rewrite import Changes

_FLOAT = 1  # TensorProto.FLOAT


def pool_by_product(graph: Graph) -> Changes:
    """Sums valid entries as `mᵀ X` instead of selecting each element before the sum.

    `Σ_j (m_j ? X_j : 0) = Σ_j m_j X_j` for finite `X`, such as rows of a finite table. The sum of the
    mask, by which a mean divides, reads the same float mask.
    """
    changes: Changes = {}
    masks: dict[str, str] = {}  # by mask, the name of its float version (batch, 1, length)
    for last in graph.nodes:
        mask, values = _masked_sum(graph, last)
        output = last.output[0]
        if not mask:
            continue
        made = []
        if mask not in masks:
            masks[mask] = f"{output}/mask"
            made = [
                node("Unsqueeze", [mask, graph.integers(1)], f"{output}/row"),
                node("Cast", [f"{output}/row"], masks[mask], to=_FLOAT),
            ]
        changes[output] = [
            *made,
            node("MatMul", [masks[mask], values], f"{output}/sum"),
            node("Squeeze", [f"{output}/sum", graph.integers(1)], output),
        ]
    for last in graph.nodes:
        mask = _count(graph, last)
        if mask in masks:
            output = last.output[0]
            changes[output] = [
                node("ReduceSum", [masks[mask], graph.integers(2)], output, keepdims=0)
            ]
    return changes


def _masked_sum(graph: Graph, last: Any) -> tuple[str, str]:
    """Returns the mask (batch, length) and the values of a sum over valid entries with this last node."""
    if last.op_type != "ReduceSum" or not graph.reduces(last, 1, keepdims=False):
        return "", ""
    choice = graph.inner(last.input[0], "Where")
    if choice is None or graph.number(choice.input[2]) != 0:
        return "", ""
    mask, values = _per_row(graph, choice.input[0]), choice.input[1]
    places, shape = graph.shapes.get(mask, ()), graph.shapes.get(values, ())
    alike = len(places) == 2 and len(shape) == 3 and places[1] == shape[1] is not None
    return (mask, values) if alike and _is_finite(graph, values) else ("", "")


def _count(graph: Graph, last: Any) -> str:
    """Returns the mask whose valid entries a sum counts."""
    if last.op_type != "ReduceSum" or not graph.reduces(last, 1, keepdims=False):
        return ""
    cast = graph.maker(last.input[0], "Cast")
    return "" if cast is None or cast.attribute[0].i != _FLOAT else _per_row(graph, cast.input[0])


def _per_row(graph: Graph, name: str) -> str:
    """Returns the mask (batch, length) that a mask (batch, length, 1) was expanded from."""
    wide = graph.maker(name, "Unsqueeze")
    if wide is None or graph.axes(wide) not in ([2], [-1]):
        return ""
    return wide.input[0] if graph.rank(wide.input[0]) == 2 else ""


def _is_finite(graph: Graph, name: str) -> bool:
    """Whether a value consists of rows of finite tables."""
    made = graph.made_by.get(name)
    if made is None:
        return False
    if made.op_type == "Slice":
        return _is_finite(graph, made.input[0])
    if made.op_type == "Concat" and axis_of(made) in (2, -1):
        return all(_is_finite(graph, part) for part in made.input)
    return graph.looks_up(made) and graph.is_finite(made.input[0])
