"""Layer normalisation as the one operator that runtimes have for it."""

from typing import Any

from kranking.export.rewrites.fusion._graph import Graph, node
from kranking.export.rewrites.fusion._rewrite import Changes


def fuse_layer_norms(graph: Graph) -> Changes:
    """Writes a layer normalisation of Keras, thirteen operators in ONNX, as `LayerNormalization`.

    Keras writes `x·s + (β − μ·s)` with `s = γ / sqrt(mean((x − μ)²) + ε)`. What looks otherwise stays as it
    is, as in operator set 17, where tf2onnx writes means in another way.
    """
    return {
        last.output[0]: found
        for last in graph.nodes
        if last.op_type == "Add" and (found := _layer_norm(graph, last))
    }


def _layer_norm(graph: Graph, last: Any) -> list[Any] | None:
    """Gives the operator for a layer normalisation that ends here."""
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
    """Gives γ, β and ε."""
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
