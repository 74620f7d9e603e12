"""Conversion of `DotInteraction` (TFRS, keras-rs), optionally with DLRM's MLP on the numbers."""

from typing import Any

import keras
import numpy as np

from kranking.features import Feature, Numeric
from kranking.interop._source import activation_of, arrays, chain, kind, label, settings
from kranking.layers import DLRMInteraction, DotInteraction


def dot_from(
    layer: Any, bottom: Any, features: list[Feature]
) -> tuple[keras.layers.Layer, np.ndarray, int]:
    """Converts a `DotInteraction` to a built block.

    The inputs of the source are the embeddings in the order of `features`, followed by the output of
    `bottom`, which is also concatenated in front of the products, as in `tfrs.experimental.models.Ranking`.

    Args:
        layer: The `DotInteraction` of the source.
        bottom: Chain of Dense layers on the numbers; `None` without numbers.
        features: The feature declarations.

    Returns:
        The block; the position of each of its columns in the source's output; the width of that output.
    """
    numbers = [f.name for f in features if isinstance(f, Numeric) and not f.bucketized]
    widths = [f.width for f in features if f.name not in numbers]
    if len(set(widths)) != 1 or bool(numbers) != bool(bottom):
        raise ValueError(
            f"{label(layer)} needs embeddings of equal width, and `bottom` exactly if there are numbers.  "
            f"Received: widths {widths}, numbers {numbers}, {'a' if bottom else 'no'} bottom"
        )
    own = bool(_flag(layer, "self_interaction"))
    tokens, dim = len(widths), widths[0]
    made: Any
    if bottom is None:
        made = DotInteraction(own)
        made.build((None, tokens, dim))
        columns, width = _pairs(layer, list(range(tokens)))
        return made, columns, width
    units, activation, weights = _bottom(chain(bottom), dim)
    made = DLRMInteraction(units[:-1], self_interaction=own, activation=activation)
    made.build([(None, len(numbers)), (None, tokens, dim)])
    made.set_weights(weights)
    columns, width = _pairs(
        layer, [tokens, *range(tokens)]
    )  # in kranking the token of the numbers is first
    return made, np.concatenate([np.arange(dim), dim + columns]), dim + width


class Dense:
    """A Dense layer with permuted inputs; converted as a Dense because of its class name."""

    def __init__(self, source: Any, columns: np.ndarray, width: int):
        self.source, self.columns = source, columns
        self.name = source.name
        rows = arrays(source)[0].shape[0]
        if rows != width:
            raise ValueError(
                f"{label(source)} must follow DotInteraction, whose output has width {width}. "
                f"Received: a kernel of {rows} rows. If the original model concatenates other inputs, pass "
                "kranking layers as `interaction`."
            )

    def get_config(self) -> dict[str, Any]:
        """Returns the config of the source."""
        return settings(self.source)

    def get_weights(self) -> list[np.ndarray]:
        """Returns the weights of the source, with the rows of the kernel permuted."""
        kernel, *bias = arrays(self.source)
        return [kernel[self.columns], *bias]


def reorder_columns(layers: list[Any], columns: np.ndarray, width: int) -> list[Any]:
    """Permutes the inputs of the first layer of a chain, which must be a Dense."""
    if not layers or kind(layers[0]) != "Dense":
        raise ValueError(
            "DotInteraction must be followed by a Dense, since its output columns are reordered. "
            f"Received: {[kind(layer) for layer in layers]}"
        )
    return [Dense(layers[0], columns, width), *layers[1:]]


def _pairs(layer: Any, tokens: list[int]) -> tuple[np.ndarray, int]:
    """Returns the position of each pair in the output of the source, and the width of that output.

    Args:
        layer: The `DotInteraction` of the source.
        tokens: For each token of the block, its index in the source.
    """
    own, gathered = bool(_flag(layer, "self_interaction")), not _flag(layer, "skip_gather")
    count = len(tokens)
    place = np.full((count, count), -1)
    rows, columns = np.tril_indices(count, 0 if own else -1)
    place[rows, columns] = np.arange(len(rows)) if gathered else rows * count + columns
    place = np.maximum(place, place.T)  # products are symmetric
    order = np.array(tokens)
    return place[order[rows], order[columns]], len(rows) if gathered else count * count


def _flag(layer: Any, name: str) -> Any:
    """Returns a setting of a `DotInteraction`; the TFRS layer has no `get_config`."""
    return getattr(layer, name, getattr(layer, f"_{name}", False))


def _bottom(layers: list[Any], dim: int) -> tuple[list[int], str, list[np.ndarray]]:
    """Returns units, activation and weights of the MLP on the numbers."""
    kinds = [kind(layer) for layer in layers]
    configs = [settings(layer) for layer in layers]
    plain = set(kinds) == {"Dense"} and all(one.get("use_bias", True) for one in configs)
    activations = (
        {activation_of(layer, one["activation"]) for layer, one in zip(layers, configs)}
        if plain
        else ()
    )
    weights = [weight for layer in layers for weight in arrays(layer)] if plain else []
    units = [weight.size for weight in weights[1::2]]
    if len(activations) != 1 or units[-1] != dim:
        raise ValueError(
            f"`bottom` must be Dense layers with biases and equal activations; the last has {dim} units. "
            f"Received: {kinds}, {sorted(activations)}, {units}"
        )
    return units, str(*activations), weights
