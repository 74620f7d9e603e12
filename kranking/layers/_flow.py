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
    """Gives the first known `field_dims` among layers that have one."""
    return next((d for d in (getattr(e, "field_dims", None) for e in layers) if d), None)


def fill_field_dims(layers: Any, field_dims: Any) -> None:
    """Sets `field_dims` on the layers that want one and have none."""
    for layer in layers:
        if isinstance(layer, keras.Sequential):
            fill_field_dims(layer.layers[:1], field_dims)
        elif hasattr(layer, "field_dims") and layer.field_dims is None:
            layer.field_dims = field_dims
