"""Writing what a graph does by many operators as the one operator that runtimes have for it."""

from collections import Counter
from typing import Any

import numpy as np


def fuse_layer_norms(graph: Any) -> int:
    """Replaces each layer normalisation of Keras, thirteen operators in ONNX, by `LayerNormalization`.

    Keras writes `x·s + (β − μ·s)` with `s = γ / sqrt(mean((x − μ)²) + ε)`. What looks otherwise, or has an
    inner value that is read elsewhere, stays as it is.

    Args:
        graph: An ONNX graph of operator set 18 or later, changed in place; in 17, tf2onnx writes means in
            another way.

    Returns:
        How many were replaced.
    """
    seen = _Graph(graph)
    fused, gone = {}, set()
    for node in graph.node:
        parts = _layer_norm(seen, node) if node.op_type == "Add" else None
        if parts is not None:
            x, nodes, *numbers = parts
            fused[node.output[0]] = _operator(graph, node.output[0], x, *numbers)
            gone |= {inner.output[0] for inner in nodes}
    kept = [
        fused.get(node.output[0]) or type(node).FromString(node.SerializeToString())
        for node in graph.node
        if node.output[0] not in gone
    ]
    del graph.node[:]
    graph.node.extend(kept)
    reads = _reads(graph)  # of a constant that nothing reads, runtimes warn
    for i in reversed(range(len(graph.initializer))):
        if not reads[graph.initializer[i].name]:
            del graph.initializer[i]
    return len(fused)


class _Graph:
    """A graph with its constants, and who makes and who reads each value."""

    def __init__(self, graph: Any):
        from onnx import numpy_helper

        self.constants = {
            c.name: numpy_helper.to_array(c) for c in graph.initializer if not c.external_data
        }
        self.made_by = {output: node for node in graph.node for output in node.output}
        self.reads = _reads(graph)

    def inner(self, name: str, kind: str, reads: int = 1) -> Any:
        """Gives the node of that kind that makes a value which is read so often and no more, or None."""
        node = self.made_by.get(name)
        if node is None or node.op_type != kind or self.reads[name] != reads:
            return None
        return node

    def either(self, names: Any, kind: str, reads: int = 1) -> tuple[Any, str]:
        """Gives the node of that kind behind one of two values, and the other value."""
        for name, other in (names, reversed(names)):
            node = self.inner(name, kind, reads)
            if node is not None:
                return node, other
        return None, ""


def _reads(graph: Any) -> Counter:
    """Counts by name how often a graph, or a graph inside it, reads a value."""
    reads = Counter(name for node in graph.node for name in node.input)
    reads.update(value.name for value in graph.output)
    for attribute in (a for node in graph.node for a in node.attribute):
        for inner in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
            reads.update(_reads(inner))
    return reads


def _layer_norm(graph: _Graph, last: Any) -> tuple[str, list[Any], Any, Any, float] | None:
    """Gives what a layer normalisation that ends here reads: `x`, its nodes, γ, β and ε."""
    for first, second in (tuple(last.input), tuple(reversed(last.input))):
        scaled, shift = graph.inner(first, "Mul"), graph.inner(second, "Add")
        if scaled is None or shift is None:
            continue
        for x, scale in (tuple(scaled.input), tuple(reversed(scaled.input))):
            found = _parts(graph, x, scale, shift)
            if found is not None:
                nodes, gamma, beta, epsilon = found
                return x, [*nodes, scaled, shift], gamma, beta, epsilon
    return None


def _parts(
    graph: _Graph, x: str, scale: str, shift: Any
) -> tuple[list[Any], Any, Any, float] | None:
    product = graph.inner(scale, "Mul", reads=2)  # by x and by the mean
    moved, beta = graph.either(shift.input, "Mul")
    if product is None or moved is None:
        return None
    reciprocal, gamma = graph.either(product.input, "Reciprocal")
    negative, again = graph.either(moved.input, "Neg")
    if reciprocal is None or negative is None or again != scale:
        return None
    root = graph.inner(reciprocal.input[0], "Sqrt")
    total = root and graph.inner(root.input[0], "Add")
    if total is None:
        return None
    variance, epsilon = graph.either(total.input, "ReduceMean")
    mean = graph.inner(negative.input[0], "ReduceMean", reads=2)  # by Neg and by Sub
    square = variance and graph.inner(variance.input[0], "Mul")
    centred = square and graph.inner(square.input[0], "Sub", reads=2)
    if mean is None or centred is None or square.input[0] != square.input[1]:
        return None
    constants = [graph.constants.get(name) for name in (gamma, beta, epsilon)]
    if any(value is None for value in constants) or constants[2].size != 1:
        return None
    right = list(centred.input) == [x, mean.output[0]] and mean.input[0] == x
    if not right or not all(_over_the_last_axis(graph, node) for node in (mean, variance)):
        return None
    gamma, beta = (value.ravel() for value in constants[:2])
    if not gamma.shape == beta.shape == (max(c.shape[-1] for c in constants[:2]),):
        return None
    nodes = [mean, negative, centred, square, variance, total, root, reciprocal, product, moved]
    return nodes, gamma, beta, float(constants[2].ravel()[0])


def _over_the_last_axis(graph: _Graph, node: Any) -> bool:
    given = {a.name: a for a in node.attribute}
    axes = list(given["axes"].ints) if "axes" in given else None
    if axes is None and len(node.input) > 1 and node.input[1] in graph.constants:
        axes = graph.constants[node.input[1]].tolist()
    kept = "keepdims" not in given or given["keepdims"].i == 1
    return kept and axes == [-1]


def _operator(graph: Any, output: str, x: str, gamma: Any, beta: Any, epsilon: float) -> Any:
    from onnx import helper, numpy_helper

    names = [f"{output}/gamma", f"{output}/beta"]
    for name, value in zip(names, (gamma, beta)):
        graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
    return helper.make_node(
        "LayerNormalization", [x, *names], [output], name=f"{output}/norm", axis=-1, epsilon=epsilon
    )
