"""Conversion of the interaction between the embeddings and the dense layers."""

from collections.abc import Callable
from functools import partial
from typing import Any

import keras

from kranking.features import Feature
from kranking.interop._cross import CROSSES, from_tfrs_cross
from kranking.interop._dot import dot_from, reorder_columns
from kranking.interop._source import chain, kind, label
from kranking.layers import DotInteraction

Reorder = Callable[[list[Any]], list[Any]]


def interaction_from(
    given: Any, bottom: Any, features: list[Feature]
) -> tuple[list[keras.layers.Layer], Reorder]:
    """Converts an interaction to blocks.

    Args:
        given: `None`, cross layers, a `DotInteraction`, or layers of kranking or Keras 3.
        bottom: DLRM's layers on the numbers.
        features: The feature declarations.

    Returns:
        The built blocks, and a function that adapts the next layers to the column order of the blocks,
        which can differ from that of the source.
    """
    if kind(given) == "DotInteraction" and type(given) is not DotInteraction:
        block, columns, width = dot_from(given, bottom, features)
        return [block], partial(reorder_columns, columns=columns, width=width)
    if bottom is not None:
        raise ValueError(
            f"`bottom` requires a DotInteraction. Received: interaction={given!r} and a bottom"
        )
    return _in_order(given), list


def _in_order(given: Any) -> list[keras.layers.Layer]:
    if given is None:
        return []
    layers = [layer for layer in chain(given) if kind(layer) != "Concatenate"]
    if all(kind(layer) in CROSSES for layer in layers):
        together = isinstance(given, list | tuple) or len(layers) == 1
        # In a Sequential the x0 of each cross is its own input.
        return [from_tfrs_cross(part) for part in ([layers] if together else layers)]
    if all(isinstance(layer, keras.layers.Layer) for layer in layers):
        return layers
    raise ValueError(
        f"`interaction` must be instances of {', '.join(CROSSES)} or DotInteraction, or layers of "
        f"kranking or Keras 3. Received: {[label(layer) for layer in layers]}"
    )
