"""Conversion of a TFRS embedding tower, a lookup and an Embedding, to a declaration and its table."""

from dataclasses import replace
from typing import Any

import numpy as np

from kranking.features import Categorical, Feature, Numeric
from kranking.interop._source import arrays, as_numpy, chain, kind, label, refuse, settings

_NULLS = ("", -(2**31), -(2**63))  # values that declarations treat as null and map to row 0
_SHAPES_ONLY = ("Flatten", "Reshape")


def from_tfrs_tower(
    name: str, tower: Any, side: str = "context"
) -> tuple[Feature, np.ndarray | None]:
    """Converts one tower to a feature declaration and the rows of its table.

    - `StringLookup` or `IntegerLookup`, then `Embedding`: `Categorical` with that vocabulary.
    - `Embedding` alone, on ids from 0: `Categorical` with the integers below `input_dim`.
    - `Discretization`, then `Embedding`: `Numeric(transform="bucketize")`.
    - `Normalization`: `Numeric(mean=, std=)`.
    - `None`: `Numeric(transform="none")`, the raw number.

    Row 0 of the table is the out-of-vocabulary row of the lookup, or zeros if it has none. A mask token
    becomes an additional value, unless it is `""` or the smallest integer of its type: these are null in
    kranking and map to row 0.

    Args:
        name: Name of the feature and of its column in the log.
        tower: A Sequential or a list of layers, called at least once. A kranking declaration without a
            table is used unchanged, except for its name.
        side: `"user"`, `"item"` or `"context"`.

    Returns:
        The declaration, and the rows `(num_rows, width)` for `encoder.set_table`; `None` without a table.

    Raises:
        ValueError: If the tower has no equivalent. The message names the layer or option.

    >>> tower = [keras.layers.IntegerLookup(vocabulary=[49, 33]), keras.layers.Embedding(3, 2)]
    >>> tower[1].build((None,))
    >>> feature, rows = kr.interop.from_tfrs_tower("country", tower)
    >>> feature.vocabulary, rows.shape
    ((49, 33), (3, 2))
    """
    if isinstance(tower, Feature):
        if isinstance(tower, Categorical) or getattr(tower, "bucketized", False):
            raise ValueError(
                f"The declaration of feature {name!r} has a table but no weights: pass the trained tower. "
                f"Received: {tower!r}"
            )
        return replace(tower, name=name), None
    if tower is None:
        return Numeric(name, side=side, transform="none"), None
    layers = [layer for layer in chain(tower) if kind(layer) not in _SHAPES_ONLY]
    kinds = [kind(layer) for layer in layers]
    if kinds == ["Normalization"]:
        return _numeric_of(name, layers[0], side), None
    if not kinds or kinds[-1] != "Embedding":
        raise _unknown(name, kinds)
    table = arrays(layers[-1])[0]
    if kinds in (["StringLookup", "Embedding"], ["IntegerLookup", "Embedding"]):
        vocabulary, rows = _looked_up(layers[0], table)
    elif kinds == ["Discretization", "Embedding"]:
        boundaries = tuple(map(float, layers[0].bin_boundaries))
        rows = _under_zeros(_enough(layers[0], table, len(boundaries) + 1))
        width = rows.shape[1]
        feature = Numeric(
            name, side=side, transform="bucketize", boundaries=boundaries, embedding_dim=width
        )
        return feature, rows
    elif kinds == ["Embedding"]:
        vocabulary, rows = tuple(range(len(table))), _under_zeros(table)
    else:
        raise _unknown(name, kinds)
    feature = Categorical(name, side=side, vocabulary=vocabulary, embedding_dim=rows.shape[1])
    return feature, rows


def _looked_up(lookup: Any, table: np.ndarray) -> tuple[tuple[Any, ...], np.ndarray]:
    """Returns the values of a lookup, and its rows in that order after the out-of-vocabulary row."""
    config = settings(lookup)
    if config.get("output_mode", "int") != "int":
        raise refuse(lookup, "output_mode", config["output_mode"], "its output is not a row index.")
    if config.get("invert"):
        raise refuse(lookup, "invert", True, "its output is not a row index.")
    oov, mask = config.get("num_oov_indices", 1), config.get("mask_token")
    if oov > 1:
        raise refuse(
            lookup,
            "num_oov_indices",
            oov,
            "all out-of-vocabulary values share one row in kranking.",
        )
    tokens = list(lookup.get_vocabulary())
    table = _enough(lookup, table, len(tokens))
    first = (mask is not None) + oov
    values = [getattr(token, "item", lambda token=token: token)() for token in tokens[first:]]
    rows = table[first:]
    unknown = table[first - 1 : first] if oov else np.zeros_like(table[:1])
    if mask is not None and mask not in _NULLS:
        values.append(getattr(mask, "item", lambda: mask)())
        rows = np.concatenate([rows, table[:1]])
    return tuple(values), np.concatenate([unknown, rows])


def _enough(lookup: Any, table: np.ndarray, needed: int) -> np.ndarray:
    """Returns the rows of a table that a lookup can index."""
    if len(table) < needed:
        raise ValueError(
            f"The Embedding after {label(lookup)} must have at least {needed} rows, one per index. "
            f"Received: {len(table)} rows"
        )
    return table[:needed]


def _under_zeros(table: np.ndarray) -> np.ndarray:
    """Prepends a row of zeros, for values without a row in the source."""
    return np.concatenate([np.zeros_like(table[:1]), table])


def _numeric_of(name: str, layer: Any, side: str) -> Numeric:
    mean, variance = np.ravel(as_numpy(layer.mean)), np.ravel(as_numpy(layer.variance))
    if mean.size != 1:
        raise refuse(layer, "mean", mean.tolist(), "a declaration supports one number per row.")
    if settings(layer).get("invert"):
        raise refuse(layer, "invert", True, "denormalization is not supported.")
    return Numeric(name, side=side, mean=float(mean[0]), std=float(np.sqrt(variance[0])))


def _unknown(name: str, kinds: list[str]) -> ValueError:
    return ValueError(
        f"The tower of feature {name!r} must be StringLookup, IntegerLookup or Discretization followed by "
        "Embedding, or Embedding or Normalization alone, or a kranking declaration without a table. "
        f"Received: {kinds}"
    )
