"""Saving and loading the state of a training as one file."""

import json
import os
import random
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from kranking._files import replaced
from kranking.training._model_state import random_state, set_random_state, synchronize, variables_of

FORMAT, FORMAT_VERSION = "kranking training state", 1


def save_state(model: Any, path: str | os.PathLike, notes: Mapping[str, Any] | None = None) -> None:
    """Saves weights, optimizer slots and random states, so that training can resume exactly.

    The file is written under a temporary name, synced to the disk, and renamed: an interruption at any
    time leaves the old file or the new one.

    Args:
        model: A compiled and built model.
        path: The file. Its folder is created if needed.
        notes: Any JSON-serializable mapping to save with the state, such as the progress so far.

    Raises:
        ValueError: If the model is not compiled or not built.

    >>> import tempfile
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> model.compile("adam", "mse")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_state(model, folder + "/state.npz", {"period": 3})
    ...     load_state(model, folder + "/state.npz")
    {'period': 3}
    """
    variables = _ready(model)
    synchronize(model)
    head = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "backend": keras.backend.backend(),
        "optimizer": type(model.optimizer).__name__,
        "variables": [_signature(v) for v in variables],
        "python": random.getstate(),
        "notes": dict(notes or {}),
    }
    arrays: dict[str, Any] = {f"variable_{i}": _array(v) for i, v in enumerate(variables)}
    kind, keys, *rest = np.random.get_state()  # noqa: NPY002 (Keras draws from it)
    head["numpy"] = [kind, *rest]
    arrays["numpy"] = np.asarray(keys)
    state = random_state()
    for i, part in enumerate([] if state is None else [state[0], *state[1]]):
        arrays[f"torch_{i}"] = part.cpu().numpy()
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replaced(path, fsync=True) as temporary, temporary.open("wb") as file:
        np.savez(file, head=np.array(json.dumps(head, allow_nan=False)), **arrays)


def load_state(model: Any, path: str | os.PathLike) -> dict[str, Any]:
    """Restores the state that `save_state` wrote, into a model and the random generators of this process.

    On PyTorch, the first `fit` of a new model draws a random number before the training begins. For
    bitwise identical weights, call this when the training begins: `fit(..., callbacks=[begin])` with
    `begin = keras.callbacks.LambdaCallback(on_train_begin=lambda _: load_state(model, path))`.
    The order of rows of a reader follows from its seed and epoch; the order of arrays that TensorFlow
    shuffles is not part of any state.

    Args:
        model: A model of the same configuration, compiled with the same optimizer.
        path: The file.

    Returns:
        The notes that were saved with the state.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If the file is damaged or was saved from another model, optimizer or backend. The
            model is then unchanged.
    """
    path = Path(path)
    head, arrays = _read(path)
    variables = _ready(model)
    _check_fits(path, head, model, variables)
    for i, variable in enumerate(variables):
        variable.assign(arrays[f"variable_{i}"])
    version, keys, gauss = head["python"]
    random.setstate((version, tuple(keys), gauss))
    kind, *rest = head["numpy"]
    np.random.set_state((kind, arrays["numpy"], *rest))  # noqa: NPY002
    _set_torch(arrays)
    return head["notes"]


def _check_fits(path: Path, head: Mapping[str, Any], model: Any, variables: list[Any]) -> None:
    """Raises `ValueError` if the state is from another backend, optimizer or model."""
    for name, expected in (
        ("backend", keras.backend.backend()),
        ("optimizer", type(model.optimizer).__name__),
    ):
        if head[name] != expected:
            raise ValueError(
                f"{str(path)!r} was saved with another {name}. Expected: {expected}. "
                f"Received: {head[name]}"
            )
    expected, found = [_signature(v) for v in variables], head["variables"]
    if found != expected:
        pairs = zip(variables, expected, found)
        wrong = next(
            (f"{v.path}: {a}, in the file {b}" for v, a, b in pairs if a != b), "their number"
        )
        raise ValueError(
            f"{str(path)!r} has the state of another model. Expected: {len(expected)} variables. "
            f"Received: {len(found)} variables. First difference: {wrong}"
        )


def _ready(model: Any) -> list[Any]:
    """Returns the variables to save, after creating the slots of the optimizer."""
    if getattr(model, "optimizer", None) is None:
        raise ValueError(
            "`model` must be compiled, since its optimizer is part of the state. "
            "Received: a model without an optimizer"
        )
    if not model.built:
        raise ValueError(
            f"`model` must be built; call it on a batch first. Received: {model.name!r}, which is not built"
        )
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    return variables_of(model)


def _signature(variable: Any) -> list[Any]:
    # Not the path, since the numbering of layers depends on the process.
    return [list(variable.shape), keras.backend.standardize_dtype(variable.dtype)]


def _array(variable: Any) -> np.ndarray:
    array = np.asarray(ops.convert_to_numpy(variable.value))
    # Files of NumPy do not support bfloat16; float32 represents it exactly.
    return array.astype("float32") if array.dtype.name == "bfloat16" else array


def _read(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    try:
        with path.open("rb") as opened, np.load(opened) as file:
            arrays = {name: file[name] for name in file.files}
        head = json.loads(str(arrays.pop("head")))
        known = head["format"] == FORMAT and head["format_version"] == FORMAT_VERSION
    except FileNotFoundError:
        raise
    except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{str(path)!r} is damaged or was not written by save_state. Received: {error}"
        ) from error
    if not known:
        raise ValueError(
            f"{str(path)!r} must be a {FORMAT}, version {FORMAT_VERSION}. "
            f"Received: {head['format']!r}, version {head['format_version']!r}"
        )
    return head, arrays


def _set_torch(arrays: Mapping[str, np.ndarray]) -> None:
    if keras.backend.backend() != "torch":
        return
    import torch

    count = sum(name.startswith("torch_") for name in arrays)
    states = [torch.from_numpy(arrays[f"torch_{i}"].copy()) for i in range(count)]
    set_random_state((states[0], states[1 : 1 + torch.cuda.device_count()]))
