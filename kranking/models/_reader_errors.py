"""What happens when rows cannot be read in the middle of `fit`, `evaluate` or `predict`."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras


@contextmanager
def guarded(model: keras.Model, *data: Any, training: bool = False) -> Iterator[None]:
    """Raises what a reader met while reading, as it was, and leaves the model with its weights.

    TensorFlow wraps an error of a `tf.data` generator, its traceback included, into one of its own
    types; readers of `kranking.data` keep the original as `error`. On JAX the weights live outside the
    model while Keras loops over batches, and an error would leave them there.

    Args:
        model: The model.
        *data: What `fit`, `evaluate` or `predict` was given; anything without `error` is left alone.
        training: Whether weights change. Old ones are then not held, which would cost their memory.
    """
    readers = [(reader, reader.error) for reader in data if hasattr(reader, "error")]
    on_jax = keras.backend.backend() == "jax"
    weights = [v.value for v in model.variables] if on_jax and not training else []
    try:
        yield
    except BaseException as error:
        if on_jax:
            model.jax_state_sync()
            for variable, value in zip(model.variables, weights):
                if (
                    not value.is_deleted()
                ):  # else a step was done, and the line above brought it back
                    variable.assign(value)
        for reader, before in readers:
            if isinstance(error, Exception) and reader.error not in (None, before):
                raise reader.error from None
        raise
