"""Writing of bundles to a model repository of NVIDIA Triton."""

import json
import shutil
from pathlib import Path

from kranking._core import check_choice
from kranking._files import create_text, temporary_beside
from kranking._paths import as_path, make_folder
from kranking.export import load_bundle
from kranking.export.internal import (
    IDS,
    ONNX_FILE,
    WEIGHTS_FILE,
    Signature,
    Value,
    check_file,
    onnx_signature,
    read_onnx,
)
from kranking.serving._versions import add_version, check_name, next_version

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
    """Adds a bundle to a Triton model repository as a new version of a model.

    `repository/name/config.pbtxt` declares the inputs and outputs, enables dynamic batching of requests
    and defines a warmup request that runs before the model is ready. Requests for `rank`, with one row
    of user columns and any number of candidates, are not batched.

    The file is written with the first version and not changed afterwards, so you can edit it: number of
    instances, delays, batch size, threads. Later versions must have the same inputs, outputs and backend.

    Args:
        bundle: Folder that `export_model` wrote with the format `"onnx"`. All files are checked.
        repository: Folder passed to Triton as `--model-repository`.
        name: Name of the model in requests.
        version: Number of the new version; by default, 1 more than the largest existing one.
        backend: `"onnxruntime"`, or `"python"` for servers without that backend. The latter writes a
            `model.py` that requires ONNX Runtime and NumPy, and rejects NaN and infinity in model
            inputs.
        signature: `"serve_ids"` for model inputs, or a signature on raw columns: `"serve"`, `"rank"` or
            `"user_tower"`. `Bundle.tensors` returns their inputs.

    Returns:
        The folder of the new version.

    Raises:
        ValueError: If an argument is invalid, the bundle is damaged, the version exists, or the
            `config.pbtxt` of the model is for other inputs, outputs or another backend.

    >>> write_triton("served/homefeed", "models", name="../ranker")
    Traceback (most recent call last):
      ...
    ValueError: `name` must consist of letters, digits, '_', '-' and '.', and begin with a letter or \
digit, because it is used as a folder and in URLs. Received: name='../ranker'
    """
    check_name(name)
    check_choice("backend", backend, BACKENDS)
    loaded = load_bundle(bundle, threads=1)
    loaded.open(signature)
    described = loaded.manifest["signatures"][signature]
    # With separate tables, the graph has their rows as inputs, so the interface is read from its file.
    interface = onnx_signature(read_onnx(loaded.directory / described["onnx"]))
    folder = as_path("repository", repository) / name
    _check_config(folder / CONFIG, interface, backend)
    next_version(folder, version)  # raises before anything is copied
    make_folder(folder)
    with temporary_beside(folder / "version", folder=True) as staging:
        copies, files = (
            {described["onnx"]: ONNX_FILE, WEIGHTS_FILE: WEIGHTS_FILE},
            loaded.manifest["files"],
        )
        for source, copy in copies.items():
            if source in files:
                shutil.copyfile(loaded.directory / source, staging / copy)
                check_file(staging, copy, files[source])  # the bundle may have been replaced
        if backend == "python":
            shutil.copyfile(_MODEL, staging / "model.py")
        text = triton_config(interface, name, backend, finite=signature == IDS)
        if not create_text(folder / CONFIG, text):
            _check_config(
                folder / CONFIG, interface, backend
            )  # perhaps of a deployment at the same time
        return add_version(staging, folder, version)


def triton_config(signature: Signature, name: str, backend: str, finite: bool = True) -> str:
    """Returns the text of `config.pbtxt` for the first version of a model.

    If `finite`, the Python backend rejects NaN and infinity. Graphs on raw columns impute them instead.
    """
    batched = _is_batched(signature)
    warm = ",\n".join(
        f"    {{ key: {_quote(v.name)} value {{ data_type: {_TYPES[v.dtype]} "
        f"dims: {[abs(n) for n in _dims(v, batched)]} zero_data: true }} }}"
        for v in signature.inputs
    )
    batching = f"max_batch_size: {_MAX_BATCH_SIZE}\ndynamic_batching {{ }}"
    if not batched:
        batching = "# Requests with different candidates cannot be batched.\nmax_batch_size: 0"
    numbers = ""
    if backend == "python" and not finite:
        numbers = '\nparameters { key: "numbers" value { string_value: "any" } }'
    return f"""\
# Written by kranking.serving.write_triton. You can edit all but `backend`, `input` and `output`.
name: {_quote(name)}
{_interface(signature, backend)}
{batching}
instance_group [ {{ kind: KIND_CPU count: 1 }} ]
# Threads per operator; 0 uses the default of ONNX Runtime.
parameters {{ key: "intra_op_thread_count" value {{ string_value: "0" }} }}{numbers}
# Only the newest version is served; requests cannot select an older one.
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
            f"{path} must declare the inputs and outputs of this bundle and the backend {backend!r}, "
            "because all versions of a model share it. Use another `name` for a model with different "
            f"inputs, outputs or backend. Received: a file without\n{_interface(signature, backend)}"
        )


def _interface(signature: Signature, backend: str) -> str:
    """Returns the part of the configuration that all versions must share."""
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
    """Whether all inputs share a dynamic first axis, along which Triton can batch requests."""
    return all(value.rows is None for value in signature.inputs)


def _declaration(value: Value, batched: bool) -> str:
    # Triton requires at least one dimension: one value per row is declared as [1] and reshaped.
    reshape = " reshape: { shape: [ ] }" if batched and not value.shape else ""
    kind = f"data_type: {_TYPES[value.dtype]} dims: {_dims(value, batched)}{reshape}"
    return f"  {{ name: {_quote(value.name)} {kind} }}"


def _dims(value: Value, batched: bool) -> list[int]:
    """Returns the dimensions for Triton, without the batch axis if there is one."""
    return list(value.shape or (1,)) if batched else [value.rows or -1, *value.shape]


def _quote(name: str) -> str:
    """Quotes a string for the protobuf text format, whose escapes are a superset of those of JSON."""
    return json.dumps(name, ensure_ascii=False)
