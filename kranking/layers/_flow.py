"""Which kind of tensor a layer takes and gives, seen through Keras's own containers."""

from typing import Any

import keras


def takes_of(layer: keras.layers.Layer) -> Any:
    """Gives `"flat"`, `"tokens"`, a tuple of them for `Parallel`, or `None` for "by rank"."""
    if isinstance(layer, keras.Sequential):
        return next((t for t in map(takes_of, layer.layers) if t is not None), None)
    return getattr(layer, "takes", None)


def gives_of(layer: keras.layers.Layer) -> Any:
    """Gives `"flat"`, `"tokens"`, or `None` for "by rank"."""
    if isinstance(layer, keras.Sequential):
        return next((g for g in map(gives_of, reversed(layer.layers)) if g is not None), None)
    return getattr(layer, "gives", None)


def field_dims_of(layers: Any) -> Any:
    """Gives the `field_dims` of layers, or `None` if one that wants them has none yet."""
    known = [layer.field_dims for layer in _wanting(layers)]
    return None if not known or None in known else known[0]


def fill_field_dims(layers: Any, field_dims: Any) -> None:
    """Sets `field_dims` on the layers that want them and have none."""
    for layer in _wanting(layers):
        if layer.field_dims is None:
            layer.field_dims = field_dims


def _wanting(layers):
    """Gives the layers that have a `field_dims`; of a chain only the first sees the fields."""
    for layer in layers:
        if isinstance(layer, keras.Sequential):
            yield from _wanting(layer.layers[:1])
        elif hasattr(layer, "field_dims"):
            yield layer
