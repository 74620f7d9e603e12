"""Conversion to ONNX files with exact names and one dynamic batch axis, and running them."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kranking.export._error import ExportError
from kranking.export._rows import Rows
from kranking.export.formats._graph import graph_of
from kranking.export.formats._sessions import open_session
from kranking.export.formats._weights_file import WeightsFile
from kranking.export.functions._signature import Signature
from kranking.export.rewrites._nodes import read_by, rename_values
from kranking.export.rewrites.fusion import fuse

ONNX_FILE = "model.onnx"
OPSETS = (17, 18)

# A protocol buffer is limited to 2 GiB, a small part of which the graph needs.
_MAX_BYTES = 2**31 - 2**24
# The IR version released with opsets 17 and 18; runtimes since 2022 read it.
_IR_VERSION = 8


def fits(num_bytes: int) -> bool:
    """Whether weights of this size fit into one ONNX file."""
    return num_bytes <= _MAX_BYTES


def check_size(num_bytes: int) -> None:
    """Raises `ExportError`, before any work is done, if weights of this size do not fit into one file."""
    if not fits(num_bytes):
        raise ExportError(
            "An ONNX file must contain less than 2 GiB of weights. "
            f"Received: a model of {num_bytes / 2**30:.2f} GiB. "
            "Use `external_data=None` to store large weights in a separate file."
        )


def convert(
    serve: Callable,
    signature: Signature,
    opset: int,
    outside: Sequence[Any] = (),
    weights: WeightsFile | None = None,
) -> Any:
    """Converts `serve`, a function of a dict of tensors, to an ONNX model.

    Args:
        serve: The function.
        signature: Names, dtypes and shapes of its inputs and outputs.
        opset: ONNX operator set.
        outside: Keras variables that are stored in `weights`. They are inputs of the converted function,
            so that no protocol buffer ever contains them.
        weights: The file for these variables.
    """
    import tensorflow as tf

    names = [value.name for value in signature.inputs]

    def positional(*tensors):
        inputs, values = tensors[: len(names)], tensors[len(names) :]
        with keras.StatelessScope(state_mapping=list(zip(outside, values, strict=True))):
            answers = serve(dict(zip(names, inputs, strict=True)))
        return [answers[value.name] for value in signature.outputs]

    plain = [f"input_{i:06d}" for i in range(len(names))]
    specs = [
        tf.TensorSpec((value.rows, *value.shape), value.dtype, name=name)
        for name, value in zip(plain, signature.inputs, strict=True)
    ]
    given = {f"weight_{i:06d}": variable for i, variable in enumerate(outside)}
    specs += [tf.TensorSpec(v.shape, v.dtype, name=name) for name, v in given.items()]
    traced = graph_of(positional, specs).get_concrete_function(*specs)
    try:
        model = _converted(traced, opset, on_copies=False)
    except Exception:  # working on a copy, tf2onnx skips a pass that fails
        model = _converted(traced, opset, on_copies=True)
    if weights is not None:
        _put_outside(model.graph, given, weights)
    fuse(model, given)
    _rename(model.graph, signature, plain)
    model.ir_version = _IR_VERSION
    model.doc_string = ""
    return model


def _put_outside(graph: Any, given: Mapping[str, Any], weights: WeightsFile) -> None:
    """Replaces the inputs that represent weights by external constants, if the graph reads them."""
    inputs = [value for value in graph.input if value.name not in given]
    read = {name for node in graph.node for name in read_by(node)}
    for name in sorted(given.keys() & read):
        graph.initializer.append(weights.tensor(name, np.asarray(given[name].value)))
    copies = [type(value).FromString(value.SerializeToString()) for value in inputs]
    del graph.input[:]
    graph.input.extend(copies)


def save(model: Any, path: Path) -> None:
    """Writes an ONNX model and checks the structure of the written file."""
    import onnx

    onnx.save_model(model, str(path))
    onnx.checker.check_model(str(path), full_check=True)  # includes the external weights


def run_onnx(path: Path) -> Callable[[Rows], dict[str, np.ndarray]]:
    """Loads an ONNX file into ONNX Runtime and returns a function from rows to outputs."""
    session = open_session(path)
    names = [output.name for output in session.get_outputs()]

    def run(rows: Rows) -> dict[str, np.ndarray]:
        given = {n: x.astype(object) if x.dtype.kind == "U" else x for n, x in rows.items()}
        return dict(zip(names, session.run(names, given), strict=True))

    return run


def _converted(traced: Any, opset: int, on_copies: bool) -> Any:
    """Converts a traced function in the steps of `tf2onnx.convert.from_function`.

    That copies the whole graph before each of its passes, half of the time, unless a variable is set in
    the environment of the process, which all threads share.

    Args:
        traced: The concrete function.
        opset: ONNX operator set.
        on_copies: Whether each pass works on a copy, which is dropped if the pass fails.
    """
    import tensorflow as tf
    from tf2onnx import optimizer, tf_loader, tfonnx

    tensors = [
        [value.name for value in values if value.dtype != tf.resource]
        for values in (traced.inputs, traced.outputs)
    ]
    specs = tf.nest.flatten(traced.structured_input_signature)
    renamed = dict(zip(tensors[0], [s.name for s in specs if isinstance(s, tf.TensorSpec)]))
    with tf.device("/cpu:0"):
        frozen = tf_loader.from_function(traced, *tensors)
        with tf.Graph().as_default() as graph:
            tf.import_graph_def(frozen, name="")
            converted = tfonnx.process_tf_graph(
                graph,
                continue_on_error=True,
                opset=opset,
                custom_op_handlers={"Erfc": (_write_erfc, []), "SelectV2": (_write_where, [])},
                input_names=tensors[0],
                output_names=tensors[1],
                tensors_to_rename=renamed,
            )
            better = optimizer.optimize_graph(converted, on_copies)
            return better.make_model(f"converted from {traced.name}")


def _write_where(context: Any, node: Any, name: str, arguments: Any) -> None:
    """Converts a select to `Where`; tf2onnx writes `c·x + (1 − c)·y`, three passes over memory, not one."""
    from onnx import TensorProto
    from tf2onnx.onnx_opset.controlflow import Select

    kinds = (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.INT32, TensorProto.INT64)
    if context.get_dtype(node.output[0]) in (*kinds, TensorProto.STRING):
        node.type = "Where"
    else:  # ONNX Runtime implements `Where` for no other types
        Select.version_9(context, node)


def _write_erfc(context: Any, node: Any, name: str, arguments: Any) -> None:
    """Converts erfc, used by the exact GELU, to `1 - erf(x)`; ONNX has no operator for it."""
    import tf2onnx

    output, values = node.output[0], node.input[0]
    dtype, shape = context.get_dtype(output), context.get_shape(output)
    context.remove_node(name)
    kind = tf2onnx.utils.map_onnx_to_numpy_type(dtype)
    one = context.make_const(f"{name}/one", np.ones((), kind))
    erf = context.make_node("Erf", [values])
    context.make_node(
        "Sub",
        [one.output[0], erf.output[0]],
        outputs=[output],
        name=name,
        dtypes=[dtype],
        shapes=[shape],
    )


def _rename(graph: Any, signature: Signature, inputs: list[str]) -> None:
    """Renames inputs and outputs as in the signature, in its order, and their first axis."""
    produced = {value.name for value in graph.output}
    public = {value.name for value in (*signature.inputs, *signature.outputs)}
    outputs = [value.name for value in graph.output]
    kept = {value.name: value for value in graph.input}
    lost = [v.name for v, name in zip(signature.inputs, inputs) if name not in kept]
    if lost or len(produced) != len(signature.outputs):
        raise ExportError(
            f"The ONNX graph must read every input and have a separate value for every output. Received: "
            f"inputs {lost} not in the graph, {len(produced)} of {len(signature.outputs)} outputs"
        )
    names = dict(zip(inputs, [value.name for value in signature.inputs]))
    names |= dict(zip(outputs, [value.name for value in signature.outputs]))

    def real(name: str) -> str:
        # A feature may have the name of an inner value, which is then renamed.
        return names.get(name, f"inner/{name}" if name in public else name)

    rename_values(graph, real)
    ordered = [kept[name] for name in inputs]
    axes = {value.name: value.axis for value in (*signature.inputs, *signature.outputs)}
    for value in (*ordered, *graph.output):
        value.name = names[value.name]
        first = value.type.tensor_type.shape.dim[0]
        first.Clear()
        if isinstance(axes[value.name], str):
            first.dim_param = axes[value.name]
        else:
            first.dim_value = axes[value.name]
    copies = [type(value).FromString(value.SerializeToString()) for value in ordered]
    del graph.input[:]
    graph.input.extend(copies)
