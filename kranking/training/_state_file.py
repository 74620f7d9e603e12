"""Saving and loading the state of a training as one file."""

import json
import math
import os
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from kranking._files import replaced
from kranking._identity import differences, plain_json
from kranking._paths import as_path, make_folder
from kranking.models.internal import model_identity, optimizer_identity
from kranking.training._model_state import broken_layers, synchronize, variables_of
from kranking.training._random_states import random_states, save_random_states

FORMAT, FORMAT_VERSION = "kranking training state", 2
_HEAD = {
    "backend": str,
    "model": dict,
    "optimizer": dict,
    "learning_rate": float | None,
    "variables": list,
    "notes": dict,
}


def save_state(model: Any, path: str | os.PathLike, notes: Mapping[str, Any] | None = None) -> None:
    """Saves weights, optimizer slots and random states, so that training can resume exactly.

    The file is written under a temporary name, synced to the disk, and renamed: an interruption at any
    time leaves the old file or the new one.

    Args:
        model: A compiled and built model.
        path: The file. Its folder is created if needed.
        notes: Any JSON-serializable mapping to save with the state, such as the progress so far.

    Raises:
        ValueError: If the model is not compiled or not built, or a weight is not finite.

    >>> import tempfile
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> model.compile("adam", "mse")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_state(model, folder + "/state.npz", {"period": 3})
    ...     load_state(model, folder + "/state.npz")
    {'period': 3}
    """
    _check_ready(model)
    variables, rate = _parts(model)
    synchronize(model)
    if broken := broken_layers(model):
        raise ValueError(
            f"The state to save must be finite; {str(path)!r} is left as it was. Received: weights or "
            f"slots that are NaN or infinite in {broken[:5]}"
        )
    head = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "backend": keras.backend.backend(),
        "model": model_identity(model),
        "optimizer": optimizer_identity(model.optimizer),
        "learning_rate": None if rate is None else _number(rate),
        "variables": [_signature(v) for v in variables],
        "notes": dict(notes or {}),
    }
    arrays: dict[str, Any] = {f"variable_{i}": _array(v) for i, v in enumerate(variables)}
    states, random_arrays = save_random_states()
    head, arrays = head | states, arrays | random_arrays
    path = as_path("path", path)
    make_folder(path.parent)
    with replaced(path, fsync=True) as temporary, temporary.open("wb") as file:
        np.savez(file, head=np.array(json.dumps(head, allow_nan=False)), **arrays)


def load_state(model: Any, path: str | os.PathLike) -> dict[str, Any]:
    """Restores the state that `save_state` wrote, into a model and the random generators of this process.

    A `RankingModel` then trains on as if it had never stopped: `fit(reader, initial_epoch=…)` begins with
    the rows of that epoch. A plain Keras model needs `reader.epoch` set by hand and, on PyTorch, where its
    first `fit` draws a random number before the training begins, this call in `on_train_begin` of a
    callback. The order of arrays that TensorFlow shuffles is not part of any state.

    The learning rate is part of the state, unless it follows a schedule, and replaces the compiled one
    with a warning; set `model.optimizer.learning_rate` afterwards to continue with another one. Loss,
    metrics and schedule may differ, all else must be equal.

    Args:
        model: A model of the same declarations, tasks, blocks and data types, compiled with an optimizer of
            the same class and settings.
        path: The file.

    Returns:
        The notes that were saved with the state.

    Raises:
        ValueError: If the file does not exist, is damaged, or was saved from another model, optimizer or
            backend, with the name of the first difference. Model and generators are then unchanged.
    """
    path = as_path("path", path)
    head, arrays, restore_random = _read(path)
    _check_ready(model)
    _check_fits(path, head, model)
    variables, rate = _parts(model)
    _check_arrays(path, head, arrays, variables)
    _set_rate(path, rate, head["learning_rate"])
    for i, variable in enumerate(variables):
        variable.assign(arrays[f"variable_{i}"])
    restore_random()
    return head["notes"]


def _check_fits(path: Path, head: Mapping[str, Any], model: Any) -> None:
    """Raises `ValueError` if the state is from another backend, model or optimizer."""
    expected = {
        "backend": keras.backend.backend(),
        "model": model_identity(model),
        "optimizer": optimizer_identity(model.optimizer),
    }
    for name, own in expected.items():
        for place, saved, present in differences(head[name], plain_json(own)):
            where = f": {place} differs" if place else ""
            raise ValueError(
                f"{str(path)!r} has the state of another {name}{where}. Expected: {present}. "
                f"Received: {saved}"
            )


def _check_arrays(
    path: Path, head: Mapping[str, Any], arrays: Mapping[str, Any], variables: list[Any]
) -> None:
    """Raises `ValueError` if the arrays are not those of the variables, or are not finite."""
    stored = [name for name in arrays if name.startswith("variable_")]
    if len(stored) != len(variables) or head["variables"] != [_signature(v) for v in variables]:
        pairs = zip(variables, head["variables"])
        wrong = [
            f"{v.path}: {_signature(v)}, in the file {b}" for v, b in pairs if _signature(v) != b
        ]
        raise ValueError(
            f"{str(path)!r} has the state of another model. Expected: {len(variables)} variables. "
            f"Received: {len(stored)} variables. First difference: {[*wrong, 'their number'][0]}"
        )
    for i, variable in enumerate(variables):
        array, (shape, dtype) = arrays.get(f"variable_{i}"), _signature(variable)
        stored_as = "float32" if dtype == "bfloat16" else dtype
        if array is None or list(array.shape) != shape or array.dtype.name != stored_as:
            found = "no array" if array is None else f"{array.dtype} {list(array.shape)}"
            raise damaged(path, f"{found} for {variable.path}, which is {dtype} {shape}")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise damaged(path, f"NaN or infinity for {variable.path}")


def _set_rate(path: Path, rate: Any, saved: float | None) -> None:
    """Restores the learning rate, unless one of the two is a schedule; warns if it changes."""
    if rate is None or saved is None:
        return
    present = _number(rate)
    if present != saved:
        warnings.warn(
            f"The learning rate {saved:.4g} of {str(path)!r} replaces {present:.4g}. To continue with "
            "another one, set `model.optimizer.learning_rate` after `load_state`.",
            stacklevel=3,
        )
    rate.assign(saved)


def _check_ready(model: Any) -> None:
    """Raises `ValueError` unless a model is compiled and built."""
    if getattr(model, "optimizer", None) is None:
        raise ValueError(
            "`model` must be compiled, since its optimizer is part of the state. "
            "Received: a model without an optimizer"
        )
    if not model.built:
        raise ValueError(
            f"`model` must be built; call it on a batch first. Received: {model.name!r}, which is not built"
        )


def _parts(model: Any) -> tuple[list[Any], Any]:
    """Returns the variables to save, and the learning rate if it is one, after creating all slots."""
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    rates = [v for v in model.optimizer.variables if v.path.rpartition("/")[2] == "learning_rate"]
    others = [v for v in variables_of(model) if not any(v is rate for rate in rates)]
    return others, rates[0] if rates else None


def _signature(variable: Any) -> list[Any]:
    # Not the path, since the numbering of layers depends on the process.
    return [list(variable.shape), keras.backend.standardize_dtype(variable.dtype)]


def _number(variable: Any) -> float:
    return float(ops.convert_to_numpy(variable.value))


def _array(variable: Any) -> np.ndarray:
    array = np.asarray(ops.convert_to_numpy(variable.value))
    # Files of NumPy do not support bfloat16; float32 represents it exactly.
    return array.astype("float32") if array.dtype.name == "bfloat16" else array


def _read(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray], Callable[[], None]]:
    """Returns head and arrays of a file, and a function that restores the random states in it."""
    if not path.is_file():
        raise ValueError(
            f"`path` must be a file that save_state wrote. Received: {str(path)!r}, which is none"
        )
    try:
        with path.open("rb") as opened, np.load(opened) as file:
            arrays = {name: file[name] for name in file.files}
        head = json.loads(str(arrays.pop("head")))
        kind = head["format"], head["format_version"]
        if kind == (FORMAT, FORMAT_VERSION):
            wrong = [n for n, types in _HEAD.items() if not isinstance(head[n], types)]
            if wrong or not math.isfinite(head["learning_rate"] or 0):
                raise TypeError(f"wrong values of {wrong or 'learning_rate'}")
            own = head["backend"] == keras.backend.backend()
            return head, arrays, random_states(head, arrays) if own else _nothing
    except Exception as error:  # a damaged byte can lead to any error of NumPy, zipfile and json
        raise damaged(path, f"{type(error).__name__}: {error}") from error
    raise ValueError(
        f"{str(path)!r} must be a {FORMAT}, version {FORMAT_VERSION}. "
        f"Received: {kind[0]!r}, version {kind[1]!r}"
    )


def _nothing() -> None:
    """Stands for states of generators of another backend, which are not restored."""


def damaged(path: Path, why: str) -> ValueError:
    """Returns the error for a file whose content is not that of a state."""
    return ValueError(f"{str(path)!r} is damaged or was not written by save_state. Received: {why}")
