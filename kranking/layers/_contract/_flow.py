"""Which kind of tensor a layer takes and gives, seen through Keras's own containers."""

from typing import Any

import keras

from kranking.layers._contract._shapes import is_many

# True of a view, whoever reads it; `field_dims` is true of the fields' own flat vector only.
_OF_VIEWS = ("id_sizes", "kinds", "num_tasks")


def takes_of(layer: keras.layers.Layer) -> Any:
    """Returns `"flat"`, `"tokens"`, a tuple of them for `Parallel`, or `None` for "by rank"."""
    if isinstance(layer, keras.Sequential):
        return next((t for t in map(takes_of, layer.layers) if t is not None), None)
    return getattr(layer, "takes", None)


def gives_of(layer: keras.layers.Layer) -> Any:
    """Returns `"flat"`, `"tokens"`, or `None` for "by rank"."""
    if isinstance(layer, keras.Sequential):
        return next((g for g in map(gives_of, reversed(layer.layers)) if g is not None), None)
    return getattr(layer, "gives", None)


def arranged(made: dict[Any, Any], takes: Any) -> Any:
    """Returns the input of a layer from a map of kinds to inputs: a list where it takes several."""
    return [arranged(made, t) for t in takes] if isinstance(takes, tuple | list) else made[takes]


def leaves(takes: Any) -> list[Any]:
    """Returns the kinds of input that a layer takes."""
    return [v for t in takes for v in leaves(t)] if isinstance(takes, tuple | list) else [takes]


def build(layer: Any, input_shape: Any) -> None:
    """Builds a layer that is not built yet.

    Keras leaves a chain whose first layer takes several inputs to its first call; until then its weights
    would be missing. Such a chain is built layer by layer.
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
    """Sets what a layer, or a layer inside it, left open for a builder to fill in.

    Args:
        layer: A layer; one that holds others lists them in `inner_layers`, and says with
            `shows_fields = False` that the flat vector which these read is not that of the fields.
        sees_fields: Whether the layer stands next to the fields. Only then do `field_dims`, `id_sizes`
            and `kinds` mean anything to it.
        **values: Value of each attribute that is `None`; `num_tasks` reaches every layer.
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
