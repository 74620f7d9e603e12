"""Checks of token shapes."""

from typing import Any

import keras

from kranking._core import check_known_width


def check_tokens(layer: keras.layers.Layer, input_shape: Any) -> tuple[int, int]:
    """Returns the number of tokens and their dim; raises `ValueError` unless both are known."""
    dim = check_known_width(layer, input_shape)
    if len(input_shape) != 3 or input_shape[1] is None:
        raise ValueError(
            f"`{layer.name}` expects input of shape (batch, tokens, dim) with a known number of tokens. "
            f"Received: input_shape={tuple(input_shape)}"
        )
    return input_shape[1], dim
