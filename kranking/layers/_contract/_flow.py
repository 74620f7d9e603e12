"""The kinds of tensors that a layer takes and returns, also through `keras.Sequential`."""

from typing import Any

import keras

from kranking.layers._contract._shapes import is_many


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


def select_inputs(made: dict[Any, Any], takes: Any) -> Any:
    """Selects the input of a layer by kind; a nested list if the layer takes several inputs."""
    return (
        [select_inputs(made, t) for t in takes] if isinstance(takes, tuple | list) else made[takes]
    )


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
