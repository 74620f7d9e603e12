"""Handling of read errors during `fit`, `evaluate` and `predict`."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras


@contextmanager
def reader_errors(model: keras.Model, *data: Any) -> Iterator[None]:
    """Raises the original error of a reader, and makes sure that the model keeps its weights.

    TensorFlow converts an error in a `tf.data` generator to one of its own types with the traceback as
    text; the readers of `kranking.data` keep the original as `error`. On JAX the weights are outside of
    the model while Keras loops over batches, and would be lost by an error.

    Args:
        model: The model.
        *data: Data passed to `fit`, `evaluate` or `predict`; ignored unless it has an `error`.
    """
    readers = [(reader, reader.error) for reader in data if hasattr(reader, "error")]
    weights = _weights(model) if keras.backend.backend() == "jax" else []
    try:
        yield
    except BaseException as error:
        if weights:
            _restore(model, weights)
        for reader, before in readers:
            if isinstance(error, Exception) and reader.error not in (None, before):
                raise reader.error from None
        raise


def _weights(model: Any) -> list[tuple[Any, Any]]:
    """Keeps the values from before the first step; a step deletes them, so this uses no memory."""
    optimizer = getattr(model, "optimizer", None)
    variables = [*model.variables, *(optimizer.variables if optimizer is not None else [])]
    return [(variable, variable.value) for variable in variables]


def _restore(model: Any, weights: list[tuple[Any, Any]]) -> None:
    model.jax_state_sync()  # the state after the last finished step
    for variable, value in weights:
        # Keras clears the variables before the first step and cannot restore them until it is done.
        if variable._value is None and not value.is_deleted():
            variable.assign(value)
