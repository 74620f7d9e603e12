"""Fusion rules for slices."""

from typing import Any

from kranking.export.rewrites._nodes import axis_of
from kranking.export.rewrites.fusion._graph import Graph, Part, node
from kranking.export.rewrites.fusion._rewrite import Changes

_BY_ELEMENT = ("Sigmoid", "Relu", "Tanh")


def take_places(graph: Graph) -> Changes:
    """Takes one index of an axis by one operator, `x[:, i]`, and removes slices of complete tensors."""
    changes = {}
    for last in graph.nodes:
        output = last.output[0]
        whole = graph.part(last)
        if whole is not None and whole.axis < 0:
            changes[output] = [node("Identity", [last.input[0]], output)]
        elif last.op_type == "Squeeze":
            taken = graph.inner(last.input[0], "Slice")
            part = graph.part(taken)
            if part and part.end - part.start == 1 and graph.axes(last) == [part.axis]:
                changes[output] = [graph.take(taken.input[0], part.start, part.axis, output)]
    return changes


def join_slices(graph: Graph) -> Changes:
    """Takes ranges or indices of a slice from its input: `x[:, a:b][:, i] = x[:, a + i]`."""
    changes: Changes = {}
    for last in graph.nodes:
        first = graph.maker(last.input[0], "Slice") if last.input else None
        outer, inner = graph.part(first), graph.part(last)
        if outer is None or outer.axis < 0:
            continue
        x, output, length = first.input[0], last.output[0], outer.end - outer.start
        if inner is not None and inner.axis == outer.axis and inner.end <= length:
            part = Part(outer.axis, outer.start + inner.start, outer.start + inner.end)
            changes[output] = [graph.cut(x, part, output)]
        elif last.op_type == "Gather" and axis_of(last) == outer.axis:
            place = graph.constants.get(last.input[1])
            if place is not None and place.ndim == 0 and 0 <= place < length:
                start = outer.start + int(place)
                changes[output] = [graph.take(x, start, outer.axis, output)]
    return changes


def activate_before_slices(graph: Graph) -> Changes:
    """Applies an activation once before slicing, not to each slice: `σ(x[:, a:b]) = σ(x)[:, a:b]`."""
    changes: Changes = {}
    for whole, slices in _slices(graph).items():
        readers = [graph.readers.get(one.output[0], []) for _, one in slices]
        alone = all(len(some) == 1 for some in readers)
        alone = alone and all(graph.reads[one.output[0]] == 1 for _, one in slices)
        kinds = {reader.op_type for some in readers for reader in some}
        if len(slices) < 2 or not alone or graph.reads[whole] != len(slices):
            continue
        if len(kinds) != 1 or not kinds <= set(_BY_ELEMENT):
            continue
        (kind,) = kinds
        name = f"{whole}/{kind}"
        for (_, one), (reader,) in zip(slices, readers):
            output = reader.output[0]
            changes[output] = [node("Slice", [name, *one.input[1:]], output)]
        changes[output].append(node(kind, [whole], name))
    return changes


def split_once(graph: Graph) -> Changes:
    """Replaces slices that cover an axis by one Split."""
    from onnx import helper

    changes: Changes = {}
    for whole, slices in _slices(graph).items():
        parts, nodes = zip(*sorted(slices, key=lambda slice_: slice_[0]))
        axis, shape = parts[0].axis, graph.shapes.get(whole, ())
        if len(parts) < 2 or len(shape) <= axis or any(part.axis != axis for part in parts):
            continue
        ends = [part.end for part in parts]
        if [part.start for part in parts] != [0, *ends[:-1]] or ends[-1] != shape[axis]:
            continue
        outputs = [one.output[0] for one in nodes]
        sizes = graph.integers(*(part.end - part.start for part in parts))
        split = helper.make_node("Split", [whole, sizes], outputs, name=outputs[0], axis=axis)
        changes |= {output: [] for output in outputs} | {outputs[0]: [split]}
    return changes


def _slices(graph: Graph) -> dict[str, list[tuple[Part, Any]]]:
    """Returns the slices of each value along one axis with their ranges, by name of the value."""
    found: dict[str, list[tuple[Part, Any]]] = {}
    for one in graph.nodes:
        part = graph.part(one)
        if part is not None and part.axis >= 0:
            found.setdefault(one.input[0], []).append((part, one))
    return found
