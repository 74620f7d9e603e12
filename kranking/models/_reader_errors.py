"""What happens when rows cannot be read in the middle of `fit`, `evaluate` or `predict`."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras


@contextmanager
def reader_errors(model: keras.Model, *data: Any) -> Iterator[None]:
    """Raises what a reader met while reading, as it was, and leaves the model with its weights.

    TensorFlow wraps an error of a `tf.data` generator, its traceback included, into one of its own
    types; readers of `kranking.data` keep the original as `error`. On JAX the weights live outside the
    model while Keras loops over batches, and an error would leave them there.

    Args:
        model: The model.
        *data: What `fit`, `evaluate` or `predict` was given; anything without `error` is left alone.
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
    """Holds on to the values before the first step; a step deletes them, so this costs no memory."""
    optimizer = getattr(model, "optimizer", None)
    variables = [*model.variables, *(optimizer.variables if optimizer is not None else [])]
    return [(variable, variable.value) for variable in variables]


def _restore(model: Any, weights: list[tuple[Any, Any]]) -> None:
    model.jax_state_sync()  # what the last finished step left
    for variable, value in weights:
        # Keras empties the variables before the first step and has nothing to bring back until then.
        if variable._value is None and not value.is_deleted():
            variable.assign(value)
