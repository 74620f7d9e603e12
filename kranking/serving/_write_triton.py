"""A bundle as a version in a model repository of NVIDIA Triton."""

import json
import shutil
from pathlib import Path

from kranking._core import check_choice
from kranking._files import write_text
from kranking.export import load_bundle
from kranking.export.internal import (
    IDS,
    ONNX_FILE,
    WEIGHTS_FILE,
    Signature,
    Value,
    onnx_signature,
    publish,
    read_onnx,
)
from kranking.serving._versions import check_name, next_version

BACKENDS = ("onnxruntime", "python")
CONFIG = "config.pbtxt"

_TYPES = {
    "int8": "TYPE_INT8",
    "int32": "TYPE_INT32",
    "int64": "TYPE_INT64",
    "float16": "TYPE_FP16",
    "float32": "TYPE_FP32",
    "float64": "TYPE_FP64",
    "string": "TYPE_STRING",
}
_MAX_BATCH_SIZE = 1024
_MODEL = Path(__file__).with_name("_triton_model.py")


def write_triton(
    bundle: str | Path,
    repository: str | Path,
    *,
    name: str,
    version: int | None = None,
    backend: str = "onnxruntime",
    signature: str = IDS,
) -> Path:
    """Puts a bundle into a Triton model repository as a new version of a model.

    `repository/name/config.pbtxt` declares inputs and outputs, batches requests that wait at the same
    time and runs a row before the model counts as ready. A request for `rank`, one row of the user's
    columns and any number of candidates, is answered alone.

    The file is written with the first version and then kept, with what you changed in it: number of
    instances, delays, batch size, threads. A later version has to have the same inputs, outputs and
    backend.

    Args:
        bundle: What `export_model` wrote, with `"onnx"` among its formats; every file is checked.
        repository: The folder that Triton's `--model-repository` names.
        name: The model's name in requests.
        version: A new version's number; by default the one after the greatest that is there.
        backend: `"onnxruntime"`, or `"python"` for servers without it: then a `model.py` that needs
            ONNX Runtime and NumPy lies beside the model. On a model's own inputs it refuses numbers
            that are not finite.
        signature: `"serve_ids"`, the model on its own inputs, or one on a log's columns: `"serve"`,
            `"rank"`, `"user_tower"`. `Bundle.tensors` gives what they take.

    Returns:
        The folder of the new version.

    Raises:
        ValueError: An argument is wrong, the bundle is damaged, the version exists, or the model's
            `config.pbtxt` is for other inputs, outputs or another backend.

    >>> write_triton("served/homefeed", "models", name="../ranker")
    Traceback (most recent call last):
      ...
    ValueError: `name` should be letters, digits, '_', '-' and '.', a letter or digit first: it becomes a \
folder and a part of a URL. Received: name='../ranker'
    """
    check_name(name)
    check_choice("backend", backend, BACKENDS)
    loaded = load_bundle(bundle, threads=1)
    loaded.open(signature)
    described = loaded.manifest["signatures"][signature]
    # Where tables lie apart, the graph takes their rows: what it takes stands in its file.
    interface = onnx_signature(read_onnx(loaded.directory / described["onnx"]))
    folder = Path(repository) / name
    _check_config(folder / CONFIG, interface, backend)
    target = next_version(folder, version)
    with publish(target) as staging:
        shutil.copyfile(loaded.directory / described["onnx"], staging / ONNX_FILE)
        if WEIGHTS_FILE in loaded.manifest["files"]:
            shutil.copyfile(loaded.directory / WEIGHTS_FILE, staging / WEIGHTS_FILE)
        if backend == "python":
            shutil.copyfile(_MODEL, staging / "model.py")
        if not (folder / CONFIG).exists():
            text = triton_config(interface, name, backend, finite=signature == IDS)
            write_text(folder / CONFIG, text)
    return target


def triton_config(signature: Signature, name: str, backend: str, finite: bool = True) -> str:
    """Gives the text of `config.pbtxt` for a model's first version.

    `finite` has the Python backend refuse NaN and infinity, which a graph on columns imputes.
    """
    batched = _is_batched(signature)
    warm = ",\n".join(
        f"    {{ key: {_quote(v.name)} value {{ data_type: {_TYPES[v.dtype]} "
        f"dims: {[abs(n) for n in _dims(v, batched)]} zero_data: true }} }}"
        for v in signature.inputs
    )
    batching = f"max_batch_size: {_MAX_BATCH_SIZE}\ndynamic_batching {{ }}"
    if not batched:
        batching = (
            "# Requests with candidates of their own are not put together.\nmax_batch_size: 0"
        )
    numbers = ""
    if backend == "python" and not finite:
        numbers = '\nparameters { key: "numbers" value { string_value: "any" } }'
    return f"""\
# Written by kranking.serving.write_triton. All but `backend`, `input` and `output` is yours to change.
name: {_quote(name)}
{_interface(signature, backend)}
{batching}
instance_group [ {{ kind: KIND_CPU count: 1 }} ]
# Threads of one operator; 0 leaves the number to ONNX Runtime.
parameters {{ key: "intra_op_thread_count" value {{ string_value: "0" }} }}{numbers}
# The newest version answers; a request may not name an older one.
version_policy {{ latest {{ num_versions: 1 }} }}
model_warmup [ {{
  name: "a row of zeros"
  batch_size: 1
  inputs [
{warm}
  ]
}} ]
"""


def _check_config(path: Path, signature: Signature, backend: str) -> None:
    if path.exists() and _interface(signature, backend) not in path.read_text("utf-8"):
        raise ValueError(
            f"{path} should declare this bundle's inputs and outputs and the backend {backend!r}: every "
            "version of a model is served with it. Give a model with another signature another `name`. "
            f"Received: a file without\n{_interface(signature, backend)}"
        )


def _interface(signature: Signature, backend: str) -> str:
    """Gives the part of the configuration that every version has to share."""
    batched = _is_batched(signature)
    return "\n".join(
        [
            f'backend: "{backend}"',
            "input [",
            ",\n".join(_declaration(value, batched) for value in signature.inputs),
            "]",
            "output [",
            ",\n".join(_declaration(value, batched) for value in signature.outputs),
            "]",
        ]
    )


def _is_batched(signature: Signature) -> bool:
    """Whether all inputs share a free first axis, along which Triton may put requests together."""
    return all(value.rows is None for value in signature.inputs)


def _declaration(value: Value, batched: bool) -> str:
    # Triton knows no input without a dimension: one value a row is declared as [1] and reshaped.
    reshape = " reshape: { shape: [ ] }" if batched and not value.shape else ""
    kind = f"data_type: {_TYPES[value.dtype]} dims: {_dims(value, batched)}{reshape}"
    return f"  {{ name: {_quote(value.name)} {kind} }}"


def _dims(value: Value, batched: bool) -> list[int]:
    """Gives the dimensions that Triton is told, which it counts behind the batch if there is one."""
    return list(value.shape or (1,)) if batched else [value.rows or -1, *value.shape]


def _quote(name: str) -> str:
    """Gives a string of protobuf's text format, whose escapes are a superset of JSON's."""
    return json.dumps(name, ensure_ascii=False)
