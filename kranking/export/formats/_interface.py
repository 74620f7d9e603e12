"""The inputs and outputs of an artefact, read from its file without running it."""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from kranking.export._error import ExportError
from kranking.export.formats._external_data import check_external_files, unlinked_weights
from kranking.export.functions._signature import BATCH, Signature, Value


def check_interface(artefact: str, declared: Signature, found: Signature) -> str:
    """Returns the numbers of inputs and outputs; raises `ExportError` unless both signatures are equal."""
    wrong = [
        *_differences("input", declared.inputs, found.inputs),
        *_differences("output", declared.outputs, found.outputs),
    ]
    if wrong:
        raise ExportError(
            f"`{artefact}` must have the inputs and outputs of the model's signature. "
            f"Received: {'; '.join(wrong)}"
        )
    return f"{len(found.inputs)} inputs, {len(found.outputs)} outputs"


def onnx_signature(model: Any) -> Signature:
    """Returns the inputs and outputs of an ONNX model."""
    import onnx

    def value(info: Any) -> Value:
        tensor = info.type.tensor_type
        text = tensor.elem_type == onnx.TensorProto.STRING
        kind = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type).name
        return _value(
            info.name,
            "string" if text else kind,
            [
                d.dim_param or (d.dim_value if d.HasField("dim_value") else "?")
                for d in tensor.shape.dim
            ],
        )

    return Signature(tuple(map(value, model.graph.input)), tuple(map(value, model.graph.output)))


def read_onnx(path: Path) -> Any:
    """Reads an ONNX file after checking its structure and that its weights are in the bundle."""
    import onnx

    model = onnx.load(str(path), load_external_data=False)
    check_external_files(path)
    try:
        with unlinked_weights(path.parent) as folder:
            file = folder / path.name
            if folder != path.parent:
                shutil.copyfile(path, file)
            onnx.checker.check_model(str(file), full_check=True)
    except Exception as error:  # the exception classes of the checker are many and not public
        raise ExportError(
            f"{path.name} must be a valid ONNX model; an operation of a layer may not be available in "
            f"ONNX. Received: {type(error).__name__}: {error}"
        ) from error
    return model


def check_opset(artefact: str, model: Any, opset: int) -> str:
    """Returns the operator sets of an ONNX model; raises `ExportError` if the opset is not `opset`."""
    found = {used.domain: used.version for used in model.opset_import}
    if found.get("") != opset:
        raise ExportError(
            f"`{artefact}` must have opset {opset}, as listed in the manifest. "
            f"Received: opset {found.get('', 'none')}"
        )
    return ", ".join(f"{domain or 'opset'} {version}" for domain, version in sorted(found.items()))


def saved_model_signature(folder: Path, key: str) -> Signature:
    """Returns a signature of a SavedModel; its dynamic axes have no names."""
    import tensorflow as tf
    from tensorflow.core.protobuf import saved_model_pb2

    saved = saved_model_pb2.SavedModel()
    saved.ParseFromString((folder / "saved_model.pb").read_bytes())
    definitions = saved.meta_graphs[0].signature_def
    if key not in definitions:
        raise ExportError(
            f"`{folder.name}` must have the signature {key!r}. Received: signatures {sorted(definitions)}"
        )

    def value(name: str, info: Any) -> Value:
        sizes = [d.size for d in info.tensor_shape.dim]
        free = [BATCH, *sizes[1:]] if sizes[:1] == [-1] else sizes
        return _value(name, tf.dtypes.as_dtype(info.dtype).name, free)

    inputs, outputs = definitions[key].inputs, definitions[key].outputs
    return Signature(
        tuple(value(name, inputs[name]) for name in sorted(inputs)),
        tuple(value(name, outputs[name]) for name in sorted(outputs)),
    )


def _value(name: str, dtype: str, shape: Sequence[Any]) -> Value:
    axis, *rest = shape or ["none"]
    return Value(name, dtype, tuple(rest), axis)


def _differences(kind: str, declared: Sequence[Value], found: Sequence[Value]) -> Iterator[str]:
    by_name = {value.name: value for value in found}
    for value in declared:
        other = by_name.pop(value.name, None)
        if other is None:
            yield f"no {kind} `{value.name}`"
        elif other != value:
            yield f"{kind} `{value.name}` is {_text(other)}, not {_text(value)}"
    yield from (f"unknown {kind} `{name}`" for name in by_name)


def _text(value: Value) -> str:
    return f"{value.dtype} ({', '.join(map(str, [value.axis, *value.shape]))})"
