"""The kinds of tensors that a layer takes and returns, also through `keras.Sequential`."""

from typing import Any

import keras

from kranking.layers._contract._shapes import is_many

# These describe a view and hold for any reader; `field_dims` holds only for the flat vector of fields.
_OF_VIEWS = ("id_sizes", "kinds", "num_tasks")


def takes_of(layer: keras.layers.Layer) -> Any:
    """Returns what a layer takes: `"flat"`, `"tokens"`, a tuple for several inputs, or `None` for any."""
    if isinstance(layer, keras.Sequential):
        return next((t for t in map(takes_of, layer.layers) if t is not None), None)
    return getattr(layer, "takes", None)


def gives_of(layer: keras.layers.Layer) -> Any:
    """Returns what a layer outputs: `"flat"`, `"tokens"`, or `None` if it depends on the input's rank."""
    if isinstance(layer, keras.Sequential):
        return next((g for g in map(gives_of, reversed(layer.layers)) if g is not None), None)
    return getattr(layer, "gives", None)


def arranged(made: dict[Any, Any], takes: Any) -> Any:
    """Selects the input of a layer by kind; a nested list if the layer takes several inputs."""
    return [arranged(made, t) for t in takes] if isinstance(takes, tuple | list) else made[takes]


def leaves(takes: Any) -> list[Any]:
    """Returns a flat list of the kinds in `takes`."""
    return [v for t in takes for v in leaves(t)] if isinstance(takes, tuple | list) else [takes]


def build(layer: Any, input_shape: Any) -> None:
    """Builds a layer unless it is already built.

    Keras defers building a `Sequential` whose first layer takes several inputs to the first call.
    Here such a `Sequential` is built layer by layer, so that its weights exist.
    """
    if layer.built:
        return
    if isinstance(layer, keras.Sequential) and is_many(input_shape):
        for inner in layer.layers:
            build(inner, input_shape)
            input_shape = inner.compute_output_shape(input_shape)
    else:
        layer.build(input_shape)


def fill(layer: keras.layers.Layer, sees_fields: bool = True, **values: Any) -> None:
    """Sets attributes that a layer or its inner layers left as `None` for the builder.

    Args:
        layer: Keras layer. A layer with inner layers lists them in `inner_layers`; it sets
            `shows_fields = False` if the flat vector that they read is not the concatenated fields.
        sees_fields: Whether the layer reads the fields directly. `field_dims`, `id_sizes` and
            `kinds` are set only then.
        **values: Values for attributes that are `None`; `num_tasks` is set in every layer.
    """
    for name, value in values.items():
        wanted = sees_fields or name == "num_tasks"
        if wanted and not layer.built and getattr(layer, name, value) is None:
            setattr(layer, name, value)
    chain = isinstance(layer, keras.Sequential)
    if not getattr(layer, "shows_fields", True):
        values = {name: value for name, value in values.items() if name in _OF_VIEWS}
    for position, inner in enumerate(layer.layers if chain else getattr(layer, "inner_layers", ())):
        fill(inner, sees_fields and not (chain and position), **values)
