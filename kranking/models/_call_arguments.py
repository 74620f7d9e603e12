"""Arguments of `fit`, `evaluate`, `predict` and `compile`, which Keras checks late or not at all."""

import inspect
import numbers
from collections.abc import Mapping
from typing import Any

from kranking._core import check_choice, check_number, check_positive_int
from kranking.models._callbacks import checked_callbacks
from kranking.models._distribution import check_distributable, resolve_jit
from kranking.optimizers.internal import as_optimizer

_COUNTS = ("epochs",)
_OPTIONAL_COUNTS = (
    "batch_size",
    "steps",
    "steps_per_epoch",
    "validation_batch_size",
    "validation_steps",
)


def call_arguments(method: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
    """Returns the arguments of a method of Keras by name.

    Raises:
        ValueError: If one of those about steps, callbacks or output is wrong.
    """
    named = inspect.signature(method).bind(*args, **kwargs).arguments
    given = {**named.pop("kwargs", {}), **named}
    for name in given:
        value: Any = given[name]
        if name in (*_COUNTS, *_OPTIONAL_COUNTS, "initial_epoch"):
            value = (
                int(value) if isinstance(value, numbers.Integral) and value is not True else value
            )
            first = 0 if name == "initial_epoch" else 1
            check_positive_int(name, value, optional=name in _OPTIONAL_COUNTS, minimum=first)
        elif name == "verbose":
            check_choice(name, value, ("auto", 0, 1, 2))
        elif name == "callbacks":
            checked_callbacks(value)
        elif name == "validation_split":
            check_number(name, value, low=0.0, high=1.0, optional=True)
            if value == 1:
                raise ValueError("`validation_split` must leave rows for training. Received: 1")
        elif name == "shuffle":
            check_choice(name, value, (True, False))
    return given


def compile_arguments(optimizer: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the arguments of `compile`, without losses and metrics.

    Raises:
        ValueError: If the optimizer is unknown, or an option is one that Keras would accept whatever it is.
    """
    for name in ("jit_compile", "run_eagerly", "auto_scale_loss"):
        check_choice(name, given.get(name, False), ("auto", True, False))
    check_positive_int("steps_per_execution", given.get("steps_per_execution", 1))
    optimizer = as_optimizer(optimizer)
    check_distributable(optimizer, dict(given))
    jit_compile = resolve_jit(given.get("jit_compile", "auto"))
    return {**given, "optimizer": optimizer, "jit_compile": jit_compile}
