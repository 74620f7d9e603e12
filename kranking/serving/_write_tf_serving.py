"""Writing of bundles to the model folder of TensorFlow Serving."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kranking._files import create_text, temporary_beside, write_text
from kranking._paths import as_path, make_folder
from kranking.export import ExportError
from kranking.export.internal import SAVED_MODEL, check_file, check_files, read_manifest
from kranking.serving._versions import add_version, check_name, next_version

WARMUP = "assets.extra/tf_serving_warmup_requests"
MODELS, BATCHING = "models.config", "batching.config"

_MAX_BATCH_SIZE = 1024


def write_tf_serving(
    bundle: str | Path,
    directory: str | Path,
    *,
    name: str,
    version: int | None = None,
    served_from: str | Path | None = None,
) -> Path:
    """Adds the SavedModel of a bundle to the folder of TensorFlow Serving, as a new version of a model.

    `directory/name/version/` contains the SavedModel, and one warmup request per signature in
    `assets.extra/tf_serving_warmup_requests`, which the server runs before the model is ready. The first
    call writes `directory/batching.config`, which you can edit. Each call writes
    `directory/models.config`, which lists all models in the folder.

    Args:
        bundle: Folder that `export_model` wrote with the format `"saved_model"`. All files are checked.
        directory: Folder of all models.
        name: Name of the model in requests.
        version: Number of the new version; by default, 1 more than the largest existing one.
        served_from: Path of `directory` on the server if it is different, such as `"/models"` in a
            container.

    Returns:
        The folder of the new version.

    Raises:
        ValueError: If an argument is invalid, the bundle is damaged or has no SavedModel, or the version
            exists.
        ExportError: If tensorflow-serving-api, which defines warmup requests, is not installed.

    >>> write_tf_serving("nowhere", "models", name="ranker")
    Traceback (most recent call last):
      ...
    ValueError: `directory` must contain a bundle with a manifest.json. Received: directory='nowhere'
    """
    check_name(name)
    bundle, directory = as_path("bundle", bundle), as_path("directory", directory)
    manifest = read_manifest(bundle)
    check_files(bundle, manifest)
    if "saved_model" not in manifest["formats"]:
        raise ValueError(
            f"`bundle` must be exported with the format 'saved_model'. "
            f"Received: formats={manifest['formats']}"
        )
    model = directory / name
    next_version(model, version)  # raises before anything is copied
    make_folder(model)
    with temporary_beside(model / "version", folder=True) as staging:
        shutil.copytree(bundle / SAVED_MODEL, staging, dirs_exist_ok=True)
        for file, expected in manifest["files"].items():
            if file.startswith(f"{SAVED_MODEL}/"):  # the bundle may have been replaced
                check_file(staging, file.removeprefix(f"{SAVED_MODEL}/"), expected)
        _write_warmup(staging, name)
        target = add_version(staging, model, version)
    _write_configs(directory, Path(served_from or directory.resolve()))
    return target


def _write_warmup(folder: Path, name: str) -> None:
    import tensorflow as tf

    try:
        from tensorflow_serving.apis import prediction_log_pb2
    except ImportError as error:
        raise ExportError(
            "Warmup requests require tensorflow-serving-api: pip install 'kranking[serving]'. "
            f"Received: {error}"
        ) from error
    (folder / WARMUP).parent.mkdir()
    with tf.io.TFRecordWriter(str(folder / WARMUP)) as writer:
        for key, signature in _signatures(folder):
            log = prediction_log_pb2.PredictionLog()
            request = log.predict_log.request
            request.model_spec.name = name
            request.model_spec.signature_name = key
            for value, info in signature.inputs.items():
                request.inputs[value].CopyFrom(_zeros(info))
            writer.write(log.SerializeToString(deterministic=True))


def _signatures(folder: Path) -> Iterator[tuple[str, Any]]:
    """Yields the serving signatures of the SavedModel, as defined in its own file."""
    from tensorflow.core.protobuf import saved_model_pb2

    saved = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    for key, signature in sorted(saved.meta_graphs[0].signature_def.items()):
        if signature.method_name == "tensorflow/serving/predict":
            yield key, signature


def _zeros(info: Any) -> Any:
    """Returns a row of zeros or empty strings for an input; dynamic axes have size 1."""
    import tensorflow as tf

    dtype = tf.dtypes.as_dtype(info.dtype)
    shape = [1 if axis.size < 0 else axis.size for axis in info.tensor_shape.dim]
    return tf.make_tensor_proto(tf.zeros(shape, dtype).numpy(), dtype, shape)


def _write_configs(directory: Path, served_from: Path) -> None:
    create_text(directory / BATCHING, batching_config())
    listed = None
    # Until nothing is new: of several deployments at once, the last one to write has seen all models.
    while (models := _models(directory)) != listed:
        write_text(directory / MODELS, models_config(models, served_from))
        listed = models


def _models(directory: Path) -> list[str]:
    """Returns the names of the models, which are folders with a version; those being written are hidden."""
    names = (p.name for p in directory.iterdir() if any(v.name.isdigit() for v in p.glob("[!.]*")))
    return sorted(names)


def models_config(names: list[str], served_from: Path) -> str:
    """Returns the text of `models.config`, which serves the newest version of each model."""
    configs = "".join(
        f"""\
  config {{
    name: "{name}"
    base_path: {json.dumps((served_from / name).as_posix(), ensure_ascii=False)}
    model_platform: "tensorflow"
    model_version_policy {{ latest {{ num_versions: 1 }} }}
  }}
"""
        for name in names
    )
    return f"# Written by kranking.serving.write_tf_serving.\nmodel_config_list {{\n{configs}}}\n"


def batching_config() -> str:
    """Returns the text of `batching.config`, which batches requests that wait at the same time."""
    return f"""\
# Written by kranking.serving.write_tf_serving with the first model; you can edit it.
max_batch_size {{ value: {_MAX_BATCH_SIZE} }}
batch_timeout_micros {{ value: 0 }}
num_batch_threads {{ value: 2 }}
max_enqueued_batches {{ value: 100 }}
"""
