"""A bundle as a version in the folder that TensorFlow Serving reads."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kranking._files import write_text
from kranking.export import ExportError
from kranking.export.internal import SAVED_MODEL, check_files, publish, read_manifest
from kranking.serving._versions import check_name, next_version

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
    """Puts a bundle's SavedModel where TensorFlow Serving finds it, as a new version of a model.

    `directory/name/version/` holds the SavedModel and, for each of its signatures, a row that warms
    it before it counts as ready, in `assets.extra/tf_serving_warmup_requests`. `directory` gets
    `batching.config` with the first model, yours to change, and `models.config`, which names every
    model that lies there.

    Args:
        bundle: What `export_model` wrote, with `"saved_model"` among its formats; every file is
            checked.
        directory: The folder of all models.
        name: The model's name in requests.
        version: A new version's number; by default the one after the greatest that is there.
        served_from: The path of `directory` as the server will see it, if another: `"/models"` in a
            container.

    Returns:
        The folder of the new version.

    Raises:
        ValueError: An argument is wrong, the bundle is damaged or has no SavedModel, or the version
            exists.
        ExportError: tensorflow-serving-api, whose message the warm-up rows are, is not installed.

    >>> write_tf_serving("nowhere", "models", name="ranker")
    Traceback (most recent call last):
      ...
    ValueError: `directory` must contain a bundle with a manifest.json. Received: directory='nowhere'
    """
    check_name(name)
    bundle, directory = Path(bundle), Path(directory)
    manifest = read_manifest(bundle)
    check_files(bundle, manifest)
    if "saved_model" not in manifest["formats"]:
        raise ValueError(
            f"`bundle` should be exported with the format 'saved_model'. "
            f"Received: formats={manifest['formats']}"
        )
    target = next_version(directory / name, version)
    with publish(target) as staging:
        shutil.copytree(bundle / SAVED_MODEL, staging, dirs_exist_ok=True)
        _write_warmup(staging, name)
    _write_configs(directory, Path(served_from or directory.resolve()))
    return target


def _write_warmup(folder: Path, name: str) -> None:
    import tensorflow as tf

    try:
        from tensorflow_serving.apis import prediction_log_pb2
    except ImportError as error:
        raise ExportError(
            "Warm-up rows need TensorFlow Serving's messages: pip install 'kranking[serving]'. "
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
    """Gives what the SavedModel itself says it answers, so that nothing here can differ from it."""
    from tensorflow.core.protobuf import saved_model_pb2

    saved = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    for key, signature in sorted(saved.meta_graphs[0].signature_def.items()):
        if signature.method_name == "tensorflow/serving/predict":
            yield key, signature


def _zeros(info: Any) -> Any:
    """Gives one row of zeros, or of empty strings, for an input; every free axis is 1 long."""
    import tensorflow as tf

    dtype = tf.dtypes.as_dtype(info.dtype)
    shape = [1 if axis.size < 0 else axis.size for axis in info.tensor_shape.dim]
    return tf.make_tensor_proto(tf.zeros(shape, dtype).numpy(), dtype, shape)


def _write_configs(directory: Path, served_from: Path) -> None:
    # A model is a folder with a numbered version; hidden folders are versions being written.
    models = [p.name for p in directory.iterdir() if any(v.name.isdigit() for v in p.glob("[!.]*"))]
    write_text(directory / MODELS, models_config(sorted(models), served_from))
    if not (directory / BATCHING).exists():
        write_text(directory / BATCHING, batching_config())


def models_config(names: list[str], served_from: Path) -> str:
    """Gives the text of `models.config`: the newest version of every model answers."""
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
    """Gives the text of `batching.config`: requests that wait at the same time are one batch."""
    return f"""\
# Written by kranking.serving.write_tf_serving with the first model; yours to change.
max_batch_size {{ value: {_MAX_BATCH_SIZE} }}
batch_timeout_micros {{ value: 0 }}
num_batch_threads {{ value: 2 }}
max_enqueued_batches {{ value: 100 }}
"""
