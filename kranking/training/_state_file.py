"""All that a training needs to go on, in one file that is there whole or not at all."""

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
    """Writes weights, optimizer slots and random states, so that a training can go on as if never stopped.

    The file is written under another name, brought to the disk, and renamed: a kill at any moment leaves
    the old file or the new one.

    Args:
        model: A compiled model whose weights are there.
        path: The file. Its folder is made.
        notes: Anything that belongs to this moment, such as what has been trained on, that JSON can hold.

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
    """Gives a model the state that `save_state` wrote, and this process its random states.

    On PyTorch, the first `fit` of a new model draws a number before the training begins. For the same
    weights to the last bit, call this as it begins: `fit(..., callbacks=[begin])` with
    `begin = keras.callbacks.LambdaCallback(on_train_begin=lambda _: load_state(model, path))`.
    The order of rows is a reader's, by its seed and epoch; the one of arrays that TensorFlow shuffles is in
    no state.

    Args:
        model: A model of the same configuration, compiled with the same optimizer.
        path: The file.

    Returns:
        The notes that were written with it.

    Raises:
        FileNotFoundError: If there is no file.
        ValueError: If it is damaged, or of another model, optimizer or backend; the model is as before.
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
    """Raises `ValueError` for the state of another backend, optimizer or model."""
    for name, expected in (
        ("backend", keras.backend.backend()),
        ("optimizer", type(model.optimizer).__name__),
    ):
        if head[name] != expected:
            raise ValueError(
                f"{str(path)!r} was written with another {name}. Expected: {expected}. "
                f"Received: {head[name]}"
            )
    expected, found = [_signature(v) for v in variables], head["variables"]
    if found != expected:
        pairs = zip(variables, expected, found)
        wrong = next((f"{v.path}: {a}, there {b}" for v, a, b in pairs if a != b), "their number")
        raise ValueError(
            f"{str(path)!r} holds the state of another model. Expected: {len(expected)} variables. "
            f"Received: {len(found)}; the first that differs is {wrong}"
        )


def _ready(model: Any) -> list[Any]:
    """Gives what is kept, slots included, which an optimizer makes at its first step."""
    if getattr(model, "optimizer", None) is None:
        raise ValueError(
            "`model` must be compiled: its optimizer belongs to the state. Received: none"
        )
    if not model.built:
        raise ValueError(
            f"`model` must have its weights. Received: {model.name!r}, which is not built; call it once"
        )
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    return variables_of(model)


def _signature(variable: Any) -> list[Any]:
    # Not the path: layers are numbered anew in each process.
    return [list(variable.shape), keras.backend.standardize_dtype(variable.dtype)]


def _array(variable: Any) -> np.ndarray:
    array = np.asarray(ops.convert_to_numpy(variable.value))
    # NumPy's files do not know bfloat16; float32 holds it exactly.
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
            f"{str(path)!r} is damaged, or was not written by save_state. Received: {error}"
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
