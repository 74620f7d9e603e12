"""States of the random generators of Python, NumPy and PyTorch as JSON and arrays."""

import random
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from kranking.training._model_state import random_state, set_random_state


def save_random_states() -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Returns the states of all generators of this process, as JSON and as arrays by name."""
    kind, keys, *rest = np.random.get_state()  # noqa: NPY002 (Keras draws from it)
    arrays = {"numpy": np.asarray(keys)}
    state = random_state()
    for i, part in enumerate([] if state is None else [state[0], *state[1]]):
        arrays[f"torch_{i}"] = part.cpu().numpy()
    return {"python": random.getstate(), "numpy": [kind, *rest]}, arrays


def random_states(head: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Callable[[], None]:
    """Returns a function that restores the output of `save_random_states`.

    Raises:
        Exception: If a generator does not accept its state; the generators in use are not changed.
    """
    version, keys, gauss = head["python"]
    python = version, tuple(keys), gauss
    random.Random().setstate(python)
    kind, *rest = head["numpy"]
    numpy = kind, arrays["numpy"], *rest
    np.random.RandomState().set_state(numpy)
    torch = _torch_states(arrays)

    def restore() -> None:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
        set_random_state(torch)

    return restore


def _torch_states(arrays: Mapping[str, np.ndarray]) -> Any:
    if keras.backend.backend() != "torch":
        return None
    import torch

    count = sum(name.startswith("torch_") for name in arrays)
    states = [torch.from_numpy(arrays[f"torch_{i}"].copy()) for i in range(count)]
    torch.Generator().set_state(states[0])
    devices = states[1 : 1 + torch.cuda.device_count()]
    for index, state in enumerate(devices):
        torch.Generator(f"cuda:{index}").set_state(state)
    return states[0], devices
