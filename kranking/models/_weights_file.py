"""Files of weights that know whose they are."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from kranking._identity import differences, plain_json
from kranking.models._model_identity import model_identity

_KEY = "identity"


def store_identity(model: Any, store: Any) -> None:
    """Adds the identity of a model to its group in a file of weights."""
    store[_KEY] = np.frombuffer(json.dumps(model_identity(model)).encode(), "uint8")


def stored_identity(store: Any) -> tuple[dict[str, Any], str | None]:
    """Returns the own variables in a group of a file of weights, and the identity, `None` in old files."""
    found = {name: store[name] for name in store.keys() if name != _KEY}  # noqa: SIM118 (of h5py)
    if _KEY not in store.keys():  # noqa: SIM118
        return found, None
    return found, np.asarray(store[_KEY]).tobytes().decode()


def check_identity(model: Any, path: Any, found: str | None) -> None:
    """Raises `ValueError` with the first difference if weights are those of another model."""
    if found is None:
        return
    for place, saved, present in differences(json.loads(found), plain_json(model_identity(model))):
        raise ValueError(
            f"{str(path)!r} has the weights of another model: {place} differs. Expected: {present}. "
            f"Received: {saved}"
        )


@contextmanager
def unchanged_on_failure(model: Any, path: Any) -> Iterator[None]:
    """Restores all variables after an error, which becomes a `ValueError` with the name of the file."""
    optimizer = getattr(model, "optimizer", None)
    variables = [*model.variables, *(optimizer.variables if optimizer is not None else [])]
    before = [np.array(keras.ops.convert_to_numpy(v.value)) for v in variables]
    try:
        yield
    except BaseException as error:
        for variable, value in zip(variables, before, strict=True):
            variable.assign(value)
        if not isinstance(error, Exception):
            raise
        if isinstance(error, ValueError) and repr(str(path)) in str(error):
            raise
        raise ValueError(
            f"{str(path)!r} must have the weights of this model. Received: {error}"
        ) from error
