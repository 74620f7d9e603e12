"""Checks, before the first step, for options that do not work under tf.distribute."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras

from kranking.optimizers.internal import inner_optimizers


def under_strategy() -> bool:
    """Whether the caller is inside the scope of a tf.distribute strategy."""
    tensorflow = sys.modules.get("tensorflow")
    return keras.backend.backend() == "tensorflow" and bool(
        tensorflow is not None and tensorflow.distribute.has_strategy()
    )


def check_distributable(optimizer: Any, options: dict[str, Any]) -> None:
    """Raises `ValueError` for options that break training under tf.distribute."""
    if not under_strategy():
        return
    optimizer = keras.optimizers.get(optimizer)
    steps = [
        each.gradient_accumulation_steps
        for each in (optimizer, *inner_optimizers(optimizer))
        if each.gradient_accumulation_steps
    ]
    refused = (
        (
            options.get("jit_compile") is True,
            "jit_compile=True",
            "Use jit_compile='auto' instead: XLA cannot compile the reduction over replicas.",
        ),
        (
            options.get("steps_per_execution", 1) != 1,
            f"steps_per_execution={options.get('steps_per_execution')}",
            "Use a larger batch_size instead: the steps of a multi-step graph lose their replica context.",
        ),
        (
            bool(steps),
            f"gradient_accumulation_steps={max(steps, default=None)}",
            "Use a larger batch_size or more replicas instead.",
        ),
    )
    for broken, received, alternative in refused:
        if broken:
            raise ValueError(
                f"Training under tf.distribute does not support {received}. {alternative} "
                f"Received: {received} inside the scope of a strategy"
            )


def resolve_jit(jit_compile: bool | str) -> bool | str:
    """Resolves `"auto"` to `False` on TensorFlow without a GPU, where XLA is slow, or with a strategy."""
    if jit_compile != "auto" or keras.backend.backend() != "tensorflow":
        return jit_compile
    import tensorflow as tf

    return "auto" if tf.config.list_physical_devices("GPU") and not under_strategy() else False


@contextmanager
def first_batch_divides(model: Any) -> Iterator[None]:
    """Raises `ValueError` for a first batch that replicas cannot share evenly.

    Keras averages the first batch over the replicas to learn its shapes. Later batches may be of any size.
    """
    replicas = getattr(model, "distribute_strategy", None)
    count = getattr(replicas, "num_replicas_in_sync", 1)
    if count == 1:
        yield
        return
    import tensorflow as tf

    try:
        yield
    except tf.errors.InvalidArgumentError as error:
        if "AddN must have the same size" not in str(error):
            raise
        raise ValueError(
            f"Under tf.distribute, the rows of the first batch must divide evenly among the {count} "
            f"replicas. Use a `batch_size` that is a multiple of {count} and not more than the rows."
        ) from error
