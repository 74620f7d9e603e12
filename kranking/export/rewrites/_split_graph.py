"""Splitting of an ONNX graph at its embedding tables, into row indices and the rest."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from kranking.export.rewrites._nodes import axis_of, read_by, rename_values
from kranking.export.rewrites.fusion import narrow


@dataclass(frozen=True)
class Lookup:
    """A lookup in a table.

    Args:
        table: Name of the constant.
        indices: Name of the value with the row indices.
        rows: Name of the value with the rows.
    """

    table: str
    indices: str
    rows: str


def lookups(graph: Any, least: int) -> list[Lookup]:
    """Finds the lookups in tables of at least `least` bytes.

    A lookup whose indices depend on the rows of another lookup stays in the graph, because it would need
    another round trip.
    """
    tables = {c.name for c in graph.initializer if _bytes(c) >= least}
    outputs = {value.name for value in graph.output}
    behind: set[str] = set()  # values that depend on rows
    found: list[Lookup] = []
    for node in graph.node:
        by_rows = node.op_type == "Gather" and node.input[0] in tables and axis_of(node) == 0
        if by_rows and node.input[1] not in behind and node.output[0] not in outputs:
            found.append(Lookup(node.input[0], node.input[1], node.output[0]))
            behind |= set(node.output)
        elif behind & set(read_by(node)):
            behind |= set(node.output)
    return found


def indices_of(model: Any, named: Mapping[str, str]) -> Any:
    """Returns the part of a model that computes row indices, as int64.

    Args:
        model: The complete ONNX model.
        named: Values of the model with row indices, by the name of the output to create.
    """
    from onnx import TensorProto, helper, shape_inference

    part = _part(model, list(named.values()), {})
    for name, value in named.items():
        part.graph.node.append(helper.make_node("Cast", [value], [name], to=TensorProto.INT64))
        part.graph.output.append(helper.make_tensor_value_info(name, TensorProto.INT64, None))
    narrow(part)
    return shape_inference.infer_shapes(part)


def rest_of(model: Any, indices: Any, given: Mapping[str, Any]) -> Any:
    """Returns the part of a model after the lookups.

    Args:
        model: The complete ONNX model.
        indices: The part that computes row indices. An input that neither part reads remains an input
            of the part after the lookups.
        given: The new inputs, by the values of the model with rows that they replace.
    """
    part = _part(model, [value.name for value in model.graph.output], given)
    part.graph.output.extend(model.graph.output)
    narrow(part)
    read = {value.name for value in (*indices.graph.input, *part.graph.input)}
    part.graph.input.extend(value for value in model.graph.input if value.name not in read)
    return part


def _part(model: Any, values: Iterable[str], given: Mapping[str, Any]) -> Any:
    """Returns the part of a model that computes `values` if `given` are inputs, yet without outputs."""
    from onnx import helper

    names = set(values)
    nodes: list[Any] = []
    for node in reversed(model.graph.node):
        if names & set(node.output) and not given.keys() & set(node.output):
            nodes.append(type(node).FromString(node.SerializeToString()))
            names |= set(read_by(node))
    graph = helper.make_graph(
        nodes[::-1],
        model.graph.name,
        [value for value in model.graph.input if value.name in names] + list(given.values()),
        [],
        [c for c in model.graph.initializer if c.name in names],
    )
    rename_values(graph, lambda name: given[name].name if name in given else name)
    made = helper.make_model(graph, opset_imports=model.opset_import)
    made.ir_version = model.ir_version
    return made


def _bytes(constant: Any) -> int:
    from onnx import helper

    if constant.data_type == constant.STRING or len(constant.dims) < 2:
        return 0
    return prod(constant.dims) * helper.tensor_dtype_to_np_dtype(constant.data_type).itemsize


def unique_names(graph: Any, cuts: Sequence[Lookup]) -> dict[str, Lookup]:
    """Assigns each lookup a prefix for the names of its inputs and outputs, unique in the graph."""
    names = {value.name for value in (*graph.input, *graph.output, *graph.initializer)}
    names |= {name for node in graph.node for name in node.output}
    prefix = "table"
    while any(re.fullmatch(rf"{prefix}_\d+_(rows|indices)", name) for name in names):
        prefix += "_"
    return {f"{prefix}_{i}": cut for i, cut in enumerate(cuts)}
