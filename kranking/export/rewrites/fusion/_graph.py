"""View of an ONNX graph for fusion rules."""

from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cached_property
from math import prod
from typing import Any, NamedTuple

import numpy as np

from kranking.export.rewrites._nodes import axis_of, read_by
from kranking.export.rewrites.fusion._constants import Constants

_SMALL = 64  # elements of a constant that may be a shape
_ENDLESS = 10**9  # a larger end means the end of the axis, as no axis is that long


class Part(NamedTuple):
    """The range of a slice along one axis; an axis of -1 means the complete tensor."""

    axis: int
    start: int
    end: int


class Graph:
    """A graph with its constants and shapes, and with the producer and the readers of each value.

    Args:
        model: An ONNX model. Rules may add constants to its graph; nodes are changed by `rewrite` only.
        outside: Keras variables by the name of the external constants that store their values.
    """

    def __init__(self, model: Any, outside: Mapping[str, Any]):
        graph = model.graph
        self.nodes = graph.node
        self.constants = Constants(graph.initializer)
        self.made_by = {output: node for node in graph.node for output in node.output}
        self.reads = Counter(name for node in graph.node for name in read_by(node))
        self.reads.update(value.name for value in graph.output)
        self._model = model
        self._outside = outside
        self._taken = {value.name for value in graph.input} | set(self.made_by)

    def inner(self, name: str, kind: str, reads: int = 1) -> Any:
        """Returns the node of type `kind` that computes a value with exactly `reads` readers, or None."""
        return self.maker(name, kind) if self.reads[name] == reads else None

    def maker(self, name: str, kind: str) -> Any:
        """Returns the node of type `kind` that computes a value, whatever its readers, or None."""
        node = self.made_by.get(name)
        return node if node is not None and node.op_type == kind else None

    def either(self, names: Any, kind: str, reads: int = 1) -> tuple[Any, str]:
        """Returns the node of type `kind` that computes one of two values, and the other value."""
        for name, other in (names, reversed(names)):
            node = self.inner(name, kind, reads)
            if node is not None:
                return node, other
        return None, ""

    @cached_property
    def readers(self) -> dict[str, list[Any]]:
        """Nodes that read a value, by its name."""
        found: dict[str, list[Any]] = {}
        for node in self.nodes:
            for name in dict.fromkeys(node.input):
                found.setdefault(name, []).append(node)
        return found

    @cached_property
    def shapes(self) -> dict[str, tuple[int | None, ...]]:
        """Shapes by name of a value, None for a dynamic size; values of unknown shape are absent."""
        return _shapes(self._model)

    def rank(self, name: str) -> int | None:
        """Returns the number of axes of a value, None if unknown."""
        shape = self.shapes.get(name)
        return None if shape is None else len(shape)

    def number(self, name: str) -> float | None:
        """Returns the value of a constant with one element, otherwise None."""
        value = self.constants.get(name)
        return None if value is None or value.size != 1 else float(value.ravel()[0])

    def axes(self, node: Any) -> list[int] | None:
        """Returns the constant axes of a node, from its attribute or second input."""
        for attribute in node.attribute:
            if attribute.name == "axes":
                return list(attribute.ints)
        given = self.constants.get(node.input[1]) if len(node.input) > 1 else None
        return None if given is None else given.ravel().tolist()

    def reduces(self, node: Any, axis: int, keepdims: bool) -> bool:
        """Whether a reduction is over this axis only; -1 is the last."""
        kept = next((a.i for a in node.attribute if a.name == "keepdims"), 1)
        same = [[axis]]
        rank = self.rank(node.input[0]) if axis < 0 else None
        if rank is not None:
            same.append([rank + axis])
        return self.axes(node) in same and bool(kept) == keepdims

    def part(self, node: Any) -> Part | None:
        """Returns the range of a slice along one axis if its bounds are constant and its step is 1."""
        if node is None or node.op_type != "Slice":
            return None
        bounds = [self.constants.get(name) for name in node.input[1:]]
        if len(bounds) < 3 or any(value is None for value in bounds):
            return None
        starts, ends, axes, *steps = (
            value.ravel().tolist() for value in bounds if value is not None
        )
        if steps and set(steps[0]) != {1}:
            return None
        parts = [
            Part(axis, start, end)
            for axis, start, end in zip(axes, starts, ends, strict=True)
            if start != 0 or end < _ENDLESS
        ]
        if len(parts) > 1 or any(min(part) < 0 for part in parts):
            return None
        return parts[0] if parts else Part(-1, 0, _ENDLESS)

    def looks_up(self, node: Any) -> bool:
        """Whether a node looks up rows of a constant table."""
        if node is None or node.op_type != "Gather" or axis_of(node) != 0:
            return False
        return node.input[0] in self.constants or node.input[0] in self._outside

    def bytes(self, table: str) -> int:
        """Returns the size of a float32 constant in bytes."""
        return 4 * prod(size or 0 for size in self.shapes.get(table, ()))

    def is_finite(self, name: str) -> bool:
        """Whether a value is a float32 constant without NaN or infinity."""
        value = self.constants.get(name)
        if value is None and name in self._outside:
            value = np.asarray(self._outside[name].value)
        return value is not None and value.dtype == np.float32 and bool(np.isfinite(value).all())

    def constant(self, name: str, value: Any) -> str:
        """Adds a constant unless an equal one exists; returns its name, changed if it is already in use."""
        from onnx import numpy_helper

        value = np.asarray(value, order="C")
        while name in self._taken or not _same(self.constants.get(name), value):
            name += "'"
        if name not in self.constants:
            self._model.graph.initializer.append(numpy_helper.from_array(value, name))
            self.constants = Constants(self._model.graph.initializer, self.constants)
        return name

    def integers(self, *values: int) -> str:
        """Returns the name of a one-dimensional int64 constant with these values."""
        return self.constant(f"fused/{list(values)}", np.array(values, "int64"))

    def take(self, x: str, place: int, axis: int, output: str) -> Any:
        """Creates the node that takes one index of an axis and removes the axis."""
        index = self.constant(f"fused/{place}", np.int64(place))
        return node("Gather", [x, index], output, axis=axis)

    def cut(self, x: str, part: Part, output: str) -> Any:
        """Creates the node that takes a range of an axis."""
        bounds = [self.integers(n) for n in (part.start, part.end, part.axis)]
        return node("Slice", [x, *bounds], output)


def node(kind: str, inputs: Iterable[str], output: str, **attributes: Any) -> Any:
    """Creates a node named after its output."""
    from onnx import helper

    return helper.make_node(kind, list(inputs), [output], name=output, **attributes)


def _same(one: np.ndarray | None, other: np.ndarray) -> bool:
    """Whether a constant is absent, or equal to another in dtype, shape and bytes."""
    if one is None:
        return True
    alike = one.dtype == other.dtype and one.shape == other.shape
    return alike and one.tobytes() == other.tobytes()


def _shapes(model: Any) -> dict[str, tuple[int | None, ...]]:
    """Infers the shapes of all values; only the shapes of weights are passed, not their contents."""
    from onnx import helper, shape_inference

    graph = model.graph
    small, large = [], []
    for constant in graph.initializer:
        inside = not constant.external_data and np.prod(constant.dims) <= _SMALL
        (small if inside else large).append(constant)
    weights = [helper.make_tensor_value_info(c.name, c.data_type, list(c.dims)) for c in large]
    bare = helper.make_model(
        helper.make_graph(graph.node, "shapes", [*graph.input, *weights], graph.output, small),
        opset_imports=model.opset_import,
        ir_version=model.ir_version,
    )
    inferred = shape_inference.infer_shapes(bare, data_prop=True).graph
    return {
        value.name: tuple(d.dim_value or None for d in value.type.tensor_type.shape.dim)
        for value in (*inferred.input, *inferred.value_info, *inferred.output)
        if value.type.tensor_type.HasField("shape")
    } | {c.name: tuple(c.dims) for c in graph.initializer}
