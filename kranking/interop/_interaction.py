"""What stands between the embeddings and the dense layers."""

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
    """Turns an interaction into blocks.

    Args:
        given: `None`, crosses, a DotInteraction, or layers of kranking or Keras 3.
        bottom: DLRM's layers on the numbers.
        features: The declarations.

    Returns:
        The blocks, built; and what has to be done to the chain of layers that follows, because the blocks'
        columns stand in another order than the source's.
    """
    if kind(given) == "DotInteraction" and type(given) is not DotInteraction:
        block, columns, width = dot_from(given, bottom, features)
        return [block], partial(reorder_columns, columns=columns, width=width)
    if bottom is not None:
        raise ValueError(
            f"`bottom` belongs to a DotInteraction. Received: interaction={given!r}, and a bottom"
        )
    return _in_order(given), list


def _in_order(given: Any) -> list[keras.layers.Layer]:
    if given is None:
        return []
    layers = [layer for layer in chain(given) if kind(layer) != "Concatenate"]
    if all(kind(layer) in CROSSES for layer in layers):
        together = isinstance(given, list | tuple) or len(layers) == 1
        # In a Sequential each cross takes its own input as x0.
        return [from_tfrs_cross(part) for part in ([layers] if together else layers)]
    if all(isinstance(layer, keras.layers.Layer) for layer in layers):
        return layers
    raise ValueError(
        f"`interaction` must be of the classes {', '.join(CROSSES)} or DotInteraction, or layers of "
        f"kranking or Keras 3. Received: {[label(layer) for layer in layers]}"
    )
