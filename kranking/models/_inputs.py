"""Checks of model inputs against the declarations, before the first step."""

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from kranking.features.internal import InputSpec


def input_specs(specs: Mapping[str, InputSpec]) -> dict[str, keras.InputSpec]:
    """Converts the declared inputs to `keras.InputSpec`s with an unknown batch axis."""
    return {
        name: keras.InputSpec(dtype=spec.dtype, shape=(None, *spec.shape), name=name)
        for name, spec in specs.items()
    }


def declared_inputs(inputs: Any, specs: Mapping[str, InputSpec]) -> dict[str, Any]:
    """Returns the declared inputs of a model, in the order of the declarations, without others.

    Args:
        inputs: Argument of the model call.
        specs: Shape and dtype of each input, by name.

    Raises:
        ValueError: If `inputs` is not a dict, or an input is missing or has the wrong shape. Dtypes are
            not checked: Keras builds distributed models with float64 placeholders.
    """
    if not isinstance(inputs, Mapping):
        raise ValueError(
            f"`inputs` must be a dict of the model inputs {list(specs)}. "
            f"Received: {type(inputs).__name__}"
        )
    missing = [name for name in specs if name not in inputs]
    if missing:
        raise ValueError(
            f"`inputs` must contain all model inputs. Missing: {missing}. Received: {sorted(inputs)}"
        )
    return {name: _in_declared_shape(name, inputs[name], spec) for name, spec in specs.items()}


def _in_declared_shape(name: str, value: Any, spec: InputSpec) -> Any:
    try:
        shape = tuple(value.shape)
    except ValueError:  # TensorFlow, after batches of different rank
        return ops.reshape(value, (-1, *spec.shape))
    column = spec.shape == () and len(shape) == 2 and shape[1] in (1, None)
    if column:
        return ops.reshape(value, (-1,))
    agrees = len(shape) == 1 + len(spec.shape)
    if not agrees or any(a not in (b, None) for a, b in zip(shape[1:], spec.shape)):
        expected = ", ".join(map(str, ("batch", *spec.shape)))
        raise ValueError(f"Input {name!r} must have shape ({expected}). Received: {shape}")
    return value
