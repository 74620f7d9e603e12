"""Fusion rule for layer normalization."""

from typing import Any

from kranking.export.rewrites.fusion._graph import Graph, node
from kranking.export.rewrites.fusion._rewrite import Changes


def fuse_layer_norms(graph: Graph) -> Changes:
    """Replaces a layer normalization of Keras, thirteen ONNX operators, by `LayerNormalization`.

    Keras computes `x·s + (β − μ·s)` with `s = γ / sqrt(mean((x − μ)²) + ε)`. Other forms are not changed,
    such as that of operator set 17, for which tf2onnx converts means differently.
    """
    return {
        last.output[0]: found
        for last in graph.nodes
        if last.op_type == "Add" and (found := _layer_norm(graph, last))
    }


def _layer_norm(graph: Graph, last: Any) -> list[Any] | None:
    """Returns the operator for a layer normalization with this last node, or None."""
    for first, second in (tuple(last.input), tuple(reversed(last.input))):
        scaled, shift = graph.inner(first, "Mul"), graph.inner(second, "Add")
        if scaled is None or shift is None:
            continue
        for x, scale in (tuple(scaled.input), tuple(reversed(scaled.input))):
            found = _parts(graph, x, scale, shift)
            if found is not None:
                return _operator(graph, last.output[0], x, *found)
    return None


def _parts(graph: Graph, x: str, scale: str, shift: Any) -> tuple[Any, Any, float] | None:
    """Returns γ, β and ε, or None if the nodes are no layer normalization."""
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
    if not right or not all(graph.reduces(one, -1, keepdims=True) for one in (mean, variance)):
        return None
    gamma, beta = (value.ravel() for value in constants[:2])
    if not gamma.shape == beta.shape == (max(c.shape[-1] for c in constants[:2]),):
        return None
    return gamma, beta, float(constants[2].ravel()[0])


def _operator(graph: Graph, output: str, x: str, gamma: Any, beta: Any, epsilon: float) -> list:
    numbers = [graph.constant(f"{output}/gamma", gamma), graph.constant(f"{output}/beta", beta)]
    return [node("LayerNormalization", [x, *numbers], output, axis=-1, epsilon=epsilon)]
