"""Every layer of a model, however deep."""

from collections.abc import Iterator
from typing import Any

import keras


def layers_in(value: Any, seen: set[int] | None = None) -> Iterator[keras.layers.Layer]:
    """Gives every layer in a layer or a collection of layers, itself included, each once."""
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
