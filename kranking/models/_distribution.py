"""What training under tf.distribute cannot do, said before the first step."""

import sys
from typing import Any

import keras


def under_strategy() -> bool:
    """Whether the caller stands inside a tf.distribute strategy's scope."""
    tensorflow = sys.modules.get("tensorflow")
    return keras.backend.backend() == "tensorflow" and bool(
        tensorflow is not None and tensorflow.distribute.has_strategy()
    )


def check_distributable(optimizer: Any, options: dict[str, Any]) -> None:
    """Raises `ValueError` for options that break training under tf.distribute."""
    if not under_strategy():
        return
    optimizer = keras.optimizers.get(optimizer)
    refused = (
        (
            options.get("jit_compile") is True,
            "jit_compile=True",
            "Leave jit_compile='auto': XLA cannot hold the reduction between replicas.",
        ),
        (
            options.get("steps_per_execution", 1) != 1,
            f"steps_per_execution={options.get('steps_per_execution')}",
            "Take a larger batch_size instead: the steps of a multi-step graph lose their replica context.",
        ),
        (
            bool(getattr(optimizer, "gradient_accumulation_steps", None)),
            f"gradient_accumulation_steps={getattr(optimizer, 'gradient_accumulation_steps', None)}",
            "Take a larger batch_size, or more replicas, instead.",
        ),
    )
    for broken, received, alternative in refused:
        if broken:
            raise ValueError(
                f"Training under tf.distribute does not work with {received}. {alternative} "
                f"Received: {received} inside a strategy's scope"
            )


def resolve_jit(jit_compile: bool | str) -> bool | str:
    """Turns `"auto"` off on TensorFlow where XLA does not pay: without a GPU, or under a strategy."""
    if jit_compile != "auto" or keras.backend.backend() != "tensorflow":
        return jit_compile
    import tensorflow as tf

    return "auto" if tf.config.list_physical_devices("GPU") and not under_strategy() else False
