"""Layers of another Keras, read through what every Keras layer offers: class, config and weights.

Nothing here imports tensorflow-recommenders or Keras 2: a layer is known by the name of its class.
"""

from typing import Any

import keras
import numpy as np

# Names that mean the same function in Keras 2 and 3; `hard_sigmoid`, for one, does not.
_ACTIVATIONS = {
    "linear", "relu", "sigmoid", "tanh", "elu", "selu", "softplus", "softsign",
    "gelu", "swish", "silu", "exponential", "mish",
}  # fmt: skip


def kind(layer: Any) -> str:
    """Gives the name of a layer's class."""
    return type(layer).__name__


def label(layer: Any) -> str:
    """Names a layer in an error."""
    return f"{kind(layer)} {getattr(layer, 'name', '')!r}"


def chain(layers: Any) -> list[Any]:
    """Gives the layers of a layer, a list, a Sequential or an `MLP` of TFRS, in order."""
    if isinstance(layers, list | tuple):
        return [layer for part in layers for layer in chain(part)]
    if hasattr(layers, "layers"):  # Sequential, or a functional model that is a chain
        return chain(list(layers.layers))
    if kind(layers) == "MLP" and hasattr(layers, "submodules"):
        return list(layers.submodules)
    return [] if kind(layers) == "InputLayer" else [layers]


def settings(layer: Any) -> dict[str, Any]:
    """Gives a layer's config."""
    return dict(layer.get_config())


def arrays(layer: Any) -> list[np.ndarray]:
    """Gives a layer's weights, or raises `ValueError` if there are none yet."""
    found = [as_numpy(weight) for weight in layer.get_weights()]
    if not found:
        raise ValueError(
            f"{label(layer)} has no weights yet: call the trained model on a few rows first. "
            "Received: no weights"
        )
    return found


def refuse(layer: Any, option: str, value: Any, reason: str) -> ValueError:
    """The error for an option that has no counterpart."""
    return ValueError(f"{label(layer)} cannot be converted: {reason} Received: {option}={value!r}")


def activation_of(layer: Any, value: Any, option: str = "activation") -> str:
    """Gives the name of an activation that Keras 3 has too, or raises `ValueError`."""
    if value is None:
        return "linear"
    if not isinstance(value, str) or value not in _ACTIVATIONS:
        raise refuse(
            layer, option, value, f"its activation is not one of {', '.join(sorted(_ACTIVATIONS))}."
        )
    return value


def dense_arrays(layer: Any) -> tuple[np.ndarray, np.ndarray]:
    """Gives a Dense layer's kernel and bias; a bias that is not there is zeros."""
    kernel, *bias = arrays(layer)
    return kernel, bias[0] if bias else np.zeros(kernel.shape[-1], kernel.dtype)


def as_numpy(values: Any) -> np.ndarray:
    """Gives the array of a tensor of any framework."""
    return keras.ops.convert_to_numpy(values) if keras.ops.is_tensor(values) else np.asarray(values)
