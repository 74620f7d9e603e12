"""Access to layers of other Keras versions through their class name, config and weights.

Nothing here imports tensorflow-recommenders or Keras 2: layers are identified by their class name.
"""

from typing import Any

import keras
import numpy as np

# Names that mean the same function in Keras 2 and 3, unlike for example `hard_sigmoid`.
_ACTIVATIONS = {
    "linear", "relu", "sigmoid", "tanh", "elu", "selu", "softplus", "softsign",
    "gelu", "swish", "silu", "exponential", "mish",
}  # fmt: skip


def kind(layer: Any) -> str:
    """Returns the class name of a layer."""
    return type(layer).__name__


def label(layer: Any) -> str:
    """Returns the class and the name of a layer, for error messages."""
    return f"{kind(layer)} {getattr(layer, 'name', '')!r}"


def chain(layers: Any) -> list[Any]:
    """Flattens a layer, a list, a Sequential or a TFRS `MLP` to a list of layers, in order."""
    if isinstance(layers, list | tuple):
        return [layer for part in layers for layer in chain(part)]
    if hasattr(layers, "layers"):  # Sequential, or a functional model that is a chain
        return chain(list(layers.layers))
    if kind(layers) == "MLP" and hasattr(layers, "submodules"):
        return list(layers.submodules)
    return [] if kind(layers) == "InputLayer" else [layers]


def settings(layer: Any) -> dict[str, Any]:
    """Returns the config of a layer."""
    return dict(layer.get_config())


def arrays(layer: Any) -> list[np.ndarray]:
    """Returns the weights of a layer; raises `ValueError` if it has none yet."""
    found = [as_numpy(weight) for weight in layer.get_weights()]
    if not found:
        raise ValueError(
            f"{label(layer)} has no weights yet: call the trained model on a few rows first. "
            "Received: no weights"
        )
    return found


def refuse(layer: Any, option: str, value: Any, reason: str) -> ValueError:
    """Returns the error for an option without an equivalent."""
    return ValueError(f"{label(layer)} cannot be converted: {reason} Received: {option}={value!r}")


def activation_of(layer: Any, value: Any, option: str = "activation") -> str:
    """Returns the name of an activation; raises `ValueError` if Keras 3 has no equivalent."""
    if value is None:
        return "linear"
    if not isinstance(value, str) or value not in _ACTIVATIONS:
        raise refuse(
            layer, option, value, f"supported activations are {', '.join(sorted(_ACTIVATIONS))}."
        )
    return value


def dense_arrays(layer: Any) -> tuple[np.ndarray, np.ndarray]:
    """Returns the kernel and the bias of a Dense layer; a missing bias is zeros."""
    kernel, *bias = arrays(layer)
    return kernel, bias[0] if bias else np.zeros(kernel.shape[-1], kernel.dtype)


def as_numpy(values: Any) -> np.ndarray:
    """Converts a tensor of any framework to an array."""
    return keras.ops.convert_to_numpy(values) if keras.ops.is_tensor(values) else np.asarray(values)
