"""`DotInteraction` of TFRS and keras-rs, with the numbers' MLP of DLRM beside it."""

from typing import Any

import keras
import numpy as np

from kranking.features import Feature, Numeric
from kranking.interop._source import activation_of, arrays, chain, kind, label, settings
from kranking.layers import DLRMInteraction, DotInteraction


def dot_from(
    layer: Any, bottom: Any, features: list[Feature]
) -> tuple[keras.layers.Layer, np.ndarray, int]:
    """Turns a `DotInteraction` into a built block.

    The source crosses the embeddings in the order of `features`, and after them what `bottom` makes of the
    numbers, which stands in front of the products as well: TFRS's own `Ranking` does so.

    Args:
        layer: The source's DotInteraction.
        bottom: The chain of Dense layers on the numbers; `None` without numbers.
        features: The declarations.

    Returns:
        The block; where each of its columns stands in the source's output; the width of that.
    """
    numbers = [f.name for f in features if isinstance(f, Numeric) and not f.bucketized]
    widths = [f.width for f in features if f.name not in numbers]
    if len(set(widths)) != 1 or bool(numbers) != bool(bottom):
        raise ValueError(
            f"{label(layer)} takes embeddings of one width, and numbers through `bottom`. "
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
    columns, width = _pairs(layer, [tokens, *range(tokens)])  # ours has the numbers' token first
    return made, np.concatenate([np.arange(dim), dim + columns]), dim + width


class Dense:
    """A Dense layer whose inputs come in another order; read as one, by the name of its class."""

    def __init__(self, source: Any, columns: np.ndarray, width: int):
        self.source, self.columns = source, columns
        self.name = source.name
        rows = arrays(source)[0].shape[0]
        if rows != width:
            raise ValueError(
                f"{label(source)} must follow DotInteraction, whose output has the width {width} here. "
                f"Received: a kernel of {rows} rows. Where the original joins anything else to it, give "
                "`interaction` as layers of kranking"
            )

    def get_config(self) -> dict[str, Any]:
        """The source's."""
        return settings(self.source)

    def get_weights(self) -> list[np.ndarray]:
        """The source's, the kernel's rows in the new order."""
        kernel, *bias = arrays(self.source)
        return [kernel[self.columns], *bias]


def reorder_columns(layers: list[Any], columns: np.ndarray, width: int) -> list[Any]:
    """Gives a chain with the inputs of its first layer, a Dense, in another order."""
    if not layers or kind(layers[0]) != "Dense":
        raise ValueError(
            "A Dense must follow DotInteraction: its columns stand in another order here. "
            f"Received: {[kind(layer) for layer in layers]}"
        )
    return [Dense(layers[0], columns, width), *layers[1:]]


def _pairs(layer: Any, tokens: list[int]) -> tuple[np.ndarray, int]:
    """Gives where our pairs stand in the source's output, and its width.

    Args:
        layer: The source's DotInteraction.
        tokens: The source's number of each of our tokens.
    """
    own, gathered = bool(_flag(layer, "self_interaction")), not _flag(layer, "skip_gather")
    count = len(tokens)
    place = np.full((count, count), -1)
    rows, columns = np.tril_indices(count, 0 if own else -1)
    place[rows, columns] = np.arange(len(rows)) if gathered else rows * count + columns
    place = np.maximum(place, place.T)  # a product does not mind the order of its factors
    order = np.array(tokens)
    return place[order[rows], order[columns]], len(rows) if gathered else count * count


def _flag(layer: Any, name: str) -> Any:
    """Gives a setting of a DotInteraction; TFRS's has no `get_config`."""
    return getattr(layer, name, getattr(layer, f"_{name}", False))


def _bottom(layers: list[Any], dim: int) -> tuple[list[int], str, list[np.ndarray]]:
    """Gives units, activation and weights of the MLP on the numbers."""
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
            f"`bottom` must be Dense layers with biases and one activation, the last {dim} wide. "
            f"Received: {kinds}, {sorted(activations)}, {units}"
        )
    return units, str(*activations), weights
