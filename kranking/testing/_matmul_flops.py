"""FLOPs of the matrix products that a backend actually runs."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import keras


def traced_matmul_flops(layer: keras.layers.Layer, inputs: Any) -> int:
    """Counts the FLOPs of all matrix products in one inference call of a built layer.

    `Σ 2 · (multiply-accumulates)` over the products in the program of the current backend: a jaxpr
    on JAX, a graph on TensorFlow, the dispatched operations on PyTorch. Use a batch of one row to
    compare with `layer.work(...)`.

    Args:
        layer: A built layer.
        inputs: Input arrays of the layer.

    Returns:
        The number of FLOPs for the whole batch.

    Raises:
        ValueError: If the layer runs an operation whose FLOPs cannot be counted, such as a loop or a
            convolution, or if the backend is not supported.

    >>> layer = kr.layers.MLP([3])
    >>> layer.build((None, 4))
    >>> kr.testing.traced_matmul_flops(layer, np.ones((1, 4), "float32"))
    24
    """
    count = {"jax": _jax_flops, "tensorflow": _tensorflow_flops, "torch": _torch_flops}
    backend = keras.backend.backend()
    if backend not in count:
        raise ValueError(
            f"`traced_matmul_flops` supports the backends {sorted(count)}. Received: {backend!r}"
        )
    return count[backend](layer, inputs)


def _jax_flops(layer, inputs) -> int:
    import jax

    trainable = [variable.value for variable in layer.trainable_variables]
    others = [variable.value for variable in layer.non_trainable_variables]

    def call(values):
        return layer.stateless_call(trainable, others, values)[0]

    return _jaxpr_flops(jax.make_jaxpr(call)(inputs).jaxpr)


def _jaxpr_flops(jaxpr) -> int:
    total = 0
    for equation in jaxpr.eqns:
        name = equation.primitive.name
        if name == "dot_general":
            (contracting, _), (batch, _) = equation.params["dimension_numbers"]
            left, right = (variable.aval.shape for variable in equation.invars[:2])
            inner = math.prod(left[axis] for axis in contracting)
            shared = math.prod(left[axis] for axis in batch)
            total += 2 * math.prod(left) * math.prod(right) // (inner * shared)
        elif name in ("scan", "while", "conv_general_dilated"):
            raise ValueError(f"The FLOPs of the operation {name!r} cannot be counted.")
        total += sum(_jaxpr_flops(inner) for inner in _inner_jaxprs(equation.params.values()))
    return total


def _inner_jaxprs(values: Iterable[Any]):
    for value in values:
        if isinstance(value, list | tuple):
            yield from _inner_jaxprs(value)
        elif hasattr(value, "jaxpr"):
            yield value.jaxpr
        elif hasattr(value, "eqns"):
            yield value


def _tensorflow_flops(layer, inputs) -> int:
    import tensorflow as tf

    specs = keras.tree.map_structure(lambda a: tf.TensorSpec(a.shape, a.dtype), inputs)
    return _graph_flops(tf.function(lambda v: layer(v)).get_concrete_function(specs).graph)


def _graph_flops(graph) -> int:
    total = 0
    for operation in graph.get_operations():
        if operation.type in ("PartitionedCall", "StatefulPartitionedCall"):
            inner = graph._get_function(operation.get_attr("f").name)
            total += _graph_flops(inner.graph)
        else:
            total += _GRAPH_FLOPS.get(operation.type, _no_flops)(operation)
    return total


def _no_flops(operation) -> int:
    # The products inside loops and branches are not visible; convolutions are not supported.
    if "Conv" in operation.type or operation.type in ("While", "StatelessWhile", "If"):
        raise ValueError(f"The FLOPs of the operation {operation.type!r} cannot be counted.")
    return 0


def _graph_matmul(operation) -> int:
    left, right = (_static(value) for value in operation.inputs[:2])
    names = ("transpose_a", "transpose_b") if operation.type == "MatMul" else ("adj_x", "adj_y")
    across, down = (operation.get_attr(name) for name in names)
    inner = left[-2] if across else left[-1]
    columns = right[-2] if down else right[-1]
    shared = math.prod(_static(operation.outputs[0])[:-2])
    rows = left[-1] if across else left[-2]
    return 2 * shared * rows * inner * columns


def _graph_einsum(operation) -> int:
    equation = operation.get_attr("equation").decode()
    terms = equation.split("->")[0].split(",")
    if "." in equation or len(terms) != 2:
        raise ValueError(f"The FLOPs of the einsum {equation!r} cannot be counted.")
    sizes = {}
    for term, value in zip(terms, operation.inputs, strict=True):
        sizes |= dict(zip(term, _static(value), strict=True))
    return 2 * math.prod(sizes.values())


def _static(value) -> list[int]:
    if not value.shape.is_fully_defined():
        raise ValueError(
            f"The FLOPs of {value.name}, a product of unknown shape, cannot be counted."
        )
    return value.shape.as_list()


_GRAPH_FLOPS: dict[str, Callable[[Any], int]] = {
    "MatMul": _graph_matmul,
    "BatchMatMul": _graph_matmul,
    "BatchMatMulV2": _graph_matmul,
    "BatchMatMulV3": _graph_matmul,
    "Einsum": _graph_einsum,
}


def _torch_flops(layer, inputs) -> int:
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    tensors = keras.tree.map_structure(keras.ops.convert_to_tensor, inputs)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        layer(tensors)
    return int(counter.get_total_flops())
