"""Prepending the encoding of raw columns to an ONNX model."""

from collections.abc import Callable, Sequence
from typing import Any

from kranking.export._error import ExportError
from kranking.export.formats._onnx_ops import ML_DOMAIN, Node, OnnxOps, onnx_type
from kranking.export.rewrites._nodes import rename_values

_ML_VERSION = 3


def prepend(
    model: Any, fronts: Sequence[tuple[Callable[[OnnxOps, dict[str, Node]], dict[str, Node]], Any]]
) -> Any:
    """Returns a model with graphs in front of it that compute its inputs.

    Args:
        model: An ONNX model.
        fronts: Pairs of an encoder and its inputs. The encoder is a function of the operations and the
            input nodes that returns inputs of the model. Each input is a tuple (name, dtype, shape,
            first axis), whose axis is a name or a size.
    """
    from onnx import helper

    merged = type(model).FromString(model.SerializeToString())
    graph, outputs = merged.graph, {value.name for value in model.graph.output}
    nodes, constants, inputs, real = [], [], [], {}
    for i, (front, values) in enumerate(fronts):
        ops = OnnxOps(f"front_{i}/")
        given = {}
        for name, dtype, shape, axis in values:
            if name in outputs or name in {value.name for value in inputs}:
                raise ExportError(
                    "Tasks and columns must have different names, because names are unique in an ONNX "
                    f"graph. Received: {name!r} as both. Rename the task and set its column by `label`."
                )
            inputs.append(helper.make_tensor_value_info(name, onnx_type(dtype), [axis, *shape]))
            given[name] = Node(name, dtype, shape[-1] if shape else 0)
        real |= {name: node.name for name, node in front(ops, given).items()}
        nodes, constants = nodes + ops.nodes, constants + ops.constants
    rename_values(graph, lambda n: real.get(n, n if n in outputs else f"model/{n}"))
    copies = [*nodes, *graph.node]
    del graph.node[:], graph.input[:]
    graph.node.extend(copies)
    graph.input.extend(inputs)
    graph.initializer.extend(constants)
    if not any(opset.domain == ML_DOMAIN for opset in merged.opset_import):
        merged.opset_import.append(helper.make_opsetid(ML_DOMAIN, _ML_VERSION))
    return merged
