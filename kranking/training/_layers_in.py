"""Iteration over all nested layers of a model."""

from collections.abc import Iterator
from typing import Any

import keras


def layers_in(value: Any, seen: set[int] | None = None) -> Iterator[keras.layers.Layer]:
    """Yields every layer nested in a layer or a collection, including itself, each once."""
    seen = set() if seen is None else seen
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, keras.layers.Layer):
        yield value
        value = list(vars(value).values())
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for part in value:
            yield from layers_in(part, seen)
