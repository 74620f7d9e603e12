"""What a layer costs, computed from its configuration and an input shape, without building it."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras


@dataclass(frozen=True)
class Work:
    """Parameters, matrix-product FLOPs and kept activations of a layer at one input shape.

    Attributes:
        parameters: Number of trainable scalars.
        matmul_flops: FLOPs per sample in matrix products, 2 × multiply-accumulates. Elementwise
            operations, norms and softmax are left out, so the figure is exact on every backend.
        saved_elements: Elements per sample that the backward pass reads back and that this layer made,
            outputs included, its own input excluded (whoever made the input counts it).
        unknown: Names of layer classes whose cost is not known, so that none is counted as zero.

    >>> Work(2, 3, 4) + Work(1, 1, 1)
    Work(parameters=3, matmul_flops=4, saved_elements=5, unknown=())
    """

    parameters: int = 0
    matmul_flops: int = 0
    saved_elements: int = 0
    unknown: tuple[str, ...] = ()

    def __add__(self, other: "Work") -> "Work":
        return Work(
            self.parameters + other.parameters,
            self.matmul_flops + other.matmul_flops,
            self.saved_elements + other.saved_elements,
            self.unknown + other.unknown,
        )


def work_of(layer: keras.layers.Layer, input_shape: Any) -> Work:
    """Gives the work of any layer: its own `work`, the table of Keras's layers, or an unknown.

    Args:
        layer: A Keras layer, built or not.
        input_shape: The shape that `layer.build` takes, batch axis first.

    >>> work_of(keras.layers.Dense(3), (None, 4))
    Work(parameters=15, matmul_flops=24, saved_elements=3, unknown=())
    """
    if hasattr(layer, "work"):
        return layer.work(input_shape)  # pyright: ignore
    for cls in type(layer).__mro__:
        if cls in _KERAS_WORK:
            return _KERAS_WORK[cls](layer, input_shape)
    return Work(unknown=(type(layer).__name__,))


def elements(shape: Any) -> int:
    """Gives the number of elements per sample of a shape whose first axis is the batch."""
    if any(axis is None for axis in shape[1:]):
        raise ValueError(f"`input_shape` must be known but for its batch axis. Received: {tuple(shape)}")
    return math.prod(shape[1:])


def _dense(layer: Any, shape: Any) -> Work:
    rows = math.prod(shape[1:-1])
    outputs = rows * layer.units
    parameters = shape[-1] * layer.units + (layer.units if layer.use_bias else 0)
    # A non-linear activation is computed from the product, which stays beside the output.
    return Work(parameters, 2 * shape[-1] * outputs, outputs)


def _layer_norm(layer: Any, shape: Any) -> Work:
    width = shape[-1]
    return Work(width * (bool(layer.center) + bool(layer.scale)), 0, elements(shape))


def _elementwise(layer: Any, shape: Any) -> Work:
    return Work(0, 0, elements(shape))


def _nothing(layer: Any, shape: Any) -> Work:
    return Work()


_KERAS_WORK: dict[type, Callable[[Any, Any], Work]] = {
    keras.layers.Dense: _dense,
    keras.layers.LayerNormalization: _layer_norm,
    keras.layers.BatchNormalization: _layer_norm,
    keras.layers.Activation: _elementwise,
    keras.layers.ReLU: _elementwise,
    keras.layers.Dropout: _elementwise,
    keras.layers.Flatten: _nothing,
    keras.layers.Reshape: _nothing,
    keras.layers.Identity: _nothing,
    keras.layers.InputLayer: _nothing,
}
