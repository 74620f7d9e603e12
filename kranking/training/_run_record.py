"""A JSON record of a training."""

import hashlib
import json
import math
import os
import time
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from kranking._core import check_positive_int, versions
from kranking._files import write_json
from kranking._paths import as_path, make_folder
from kranking._rows import file_contents
from kranking.features import schema_hash
from kranking.models import RankingModel
from kranking.models.internal import model_config
from kranking.training._set_seed import last_seed

FORMAT, FORMAT_VERSION = "kranking run record", 1

_PACKAGES = ("keras", "numpy", "pyarrow", "tensorflow", "jax", "jaxlib", "torch")


class RunRecord(keras.callbacks.Callback):
    """Writes a JSON record of a training: its setup and the metrics of each epoch.

    The file contains the model (class, hash and size of its configuration, schema hash of its
    declarations), the optimizer, versions, backend, seed, data, costs, and for each epoch its metrics,
    seconds and samples per second. It is rewritten atomically at the end of each epoch: a killed run
    leaves the record of the last complete epoch, with `"finished": false`. Place it *after* the callbacks
    that add to the logs. Non-finite numbers are strings such as `"nan"`.

    Args:
        path: The file. Its folder is created if needed; an existing file is replaced.
        data: The training data: a reader, whose files are hashed, or rows of any kind that
            `kranking.data.read` accepts. `None` records no data.
        seed: The seed to record. `None` records the last one passed to `set_seed`, if any.
        costs: Costs of the model, a JSON-serializable mapping.
        notes: Anything else, a JSON-serializable mapping.

    >>> import tempfile
    >>> age = kr.features.Numeric("age", mean=0.0, std=1.0)
    >>> model = kr.RankingModel([age], [kr.layers.MLP([4])], [kr.Task("save")])
    >>> model.compile("adam")
    >>> x, y = {"age": np.zeros(8, "float32")}, {"save": np.ones(8, "float32")}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     record = kr.training.RunRecord(folder + "/run.json", seed=7)
    ...     _ = model.fit(x, y, epochs=2, verbose=0, callbacks=[record])
    ...     written = json.loads(record.path.read_text())
    >>> len(written["epochs"]), written["finished"], written["seed"]
    (2, True, 7)
    """

    def __init__(
        self,
        path: str | os.PathLike,
        data: Any = None,
        seed: int | None = None,
        costs: Mapping[str, Any] | None = None,
        notes: Mapping[str, Any] | None = None,
    ):
        check_positive_int("seed", seed, optional=True, minimum=0)
        for name, mapping in (("costs", costs), ("notes", notes)):
            if not isinstance(mapping, Mapping | None) or not _fits_json(mapping):
                raise ValueError(
                    f"`{name}` must be a JSON-serializable mapping or None. Received: {name}={mapping!r}"
                )
        super().__init__()
        self.path = as_path("path", path)
        self.data = data
        self.seed = seed
        self.costs = costs
        self.notes = notes
        self.record: dict[str, Any] = {}

    def on_train_begin(self, logs=None):
        self.record = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "finished": False,
            "backend": keras.backend.backend(),
            "versions": versions(*_PACKAGES),
            "seed": last_seed() if self.seed is None else self.seed,
            "model": _describe_model(self.model),
            "optimizer": _describe_optimizer(self.model),
            "data": describe_data(self.data),
            "costs": dict(self.costs or {}),
            "notes": dict(self.notes or {}),
            "epochs": [],
        }
        self._write()

    def on_epoch_begin(self, epoch, logs=None):
        self._begin = time.perf_counter()
        self._steps = 0

    def on_epoch_end(self, epoch, logs=None):
        # Not in on_train_batch_end, where Keras would synchronize at each step.
        seconds = time.perf_counter() - self._begin
        row: dict[str, Any] = {"epoch": epoch, "seconds": seconds}
        rows = getattr(self.data, "num_rows", None)
        if rows:
            row["samples_per_second"] = rows / seconds
        row["metrics"] = {name: _plain(value) for name, value in (logs or {}).items()}
        self.record["epochs"].append(row)
        self._write()

    def on_train_end(self, logs=None):
        self.record["finished"] = True
        self._write()

    def _write(self) -> None:
        make_folder(self.path.parent)
        options: dict[str, Any] = {"ensure_ascii": False, "allow_nan": False}
        write_json(self.path, self.record, fsync=True, **options)


def describe_data(data: Any) -> dict[str, Any]:
    """Returns the SHA-256 of each file of a reader or list of paths, and one hash of all files."""
    if data is None:
        return {}
    try:
        known = hasattr(data, "contents")
        rows = data.contents() if known else file_contents(getattr(data, "files", data))
    except (ValueError, OSError) as error:
        raise ValueError(
            "`data` must be a reader with `files` or a list of paths of files. "
            f"Received: data of type {type(data).__name__}; {type(error).__name__}: {error}"
        ) from error
    whole = hashlib.sha256("".join(row["sha256"] for row in rows).encode()).hexdigest()
    known = {name: getattr(data, name, None) for name in ("num_rows", "batch_size", "shuffled")}
    known = {name: value for name, value in known.items() if value is not None}
    return {"sha256": whole, **known, "files": rows}


def _describe_model(model: Any) -> dict[str, Any]:
    config = json.dumps(model_config(model), sort_keys=True).encode()
    out = {
        "class": type(model).__name__,
        "name": model.name,
        "config_sha256": hashlib.sha256(config).hexdigest(),
        "parameters": model.count_params(),
    }
    if isinstance(model, RankingModel):
        out["schema_hash"] = schema_hash(model.features)
        out["tasks"] = [task.name for task in model.tasks]
        rules = {task.name: task.when for task in model.tasks if task.when is not None}
        out |= {"rules": rules} if rules else {}
        out["blocks"] = [type(block).__name__ for block in model.blocks]
    return out


def _describe_optimizer(model: Any) -> dict[str, Any]:
    config = keras.saving.serialize_keras_object(model.optimizer)
    return json.loads(json.dumps({k: config[k] for k in ("class_name", "config")}, default=str))


def _plain(value: Any) -> float | str:
    number = float(np.asarray(value))
    return number if math.isfinite(number) else str(number)


def _fits_json(value: Any) -> bool:
    try:
        json.dumps(value if value is None else dict(value), allow_nan=False)
    except (TypeError, ValueError):
        return False
    return True
