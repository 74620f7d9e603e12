"""Activations as every export can write them."""

from typing import Any

import keras

from kranking.layers._rank_mixer_layer import exact_gelu


def exportable(activation: Any) -> Any:
    """Gives the activation in operations that ONNX has: Keras's exact GELU takes one it has not.

    Args:
        activation: A function of `keras.activations`, or any other.
    """
    return exact_gelu if activation is keras.activations.gelu else activation
