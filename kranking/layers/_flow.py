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


def fill(layer: keras.layers.Layer, sees_fields: bool = True, **values: Any) -> None:
    """Sets what a layer, or a layer inside it, left open for a builder to fill in.

    Args:
        layer: A layer; one that holds others lists them in `inner_layers`, and says with
            `shows_fields = False` that these do not see the fields.
        sees_fields: Whether the layer stands next to the fields. Only then do `field_dims`, `id_sizes`
            and `kinds` mean anything to it.
        **values: Value of each attribute that is `None`; `num_tasks` reaches every layer.
    """
    for name, value in values.items():
        wanted = sees_fields or name == "num_tasks"
        if wanted and not layer.built and getattr(layer, name, value) is None:
            setattr(layer, name, value)
    chain = isinstance(layer, keras.Sequential)
    sees_fields = sees_fields and getattr(layer, "shows_fields", True)
    for position, inner in enumerate(layer.layers if chain else getattr(layer, "inner_layers", ())):
        fill(inner, sees_fields and not (chain and position), **values)
