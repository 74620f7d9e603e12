"""Iteration over the layers of a model with their input and output shapes."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import keras

from kranking._core import check_instance
from kranking.features import FieldEncoder


class Step(NamedTuple):
    """A layer of a model with the shapes of its input and output."""

    layer: Any
    input_shape: Any
    output_shape: Any


def walk(encoder: FieldEncoder, stack: Iterable[keras.layers.Layer]) -> Iterator[Step]:
    """Yields each layer of a model with its input and output shapes, from the fields to the heads.

    The encoder comes first if the stack uses its fields. A layer that also reads the model inputs has a
    list of two input shapes.

    Args:
        encoder: The encoder of the model.
        stack: The layers after it, as in `model.stack` of a built model.

    Yields:
        Tuples `(layer, input_shape, output_shape)`.

    >>> age = kr.features.Numeric("age", mean=40.0, std=10.0)
    >>> model = kr.RankingModel([age], [kr.layers.MLP([8])], [kr.Task("save")])
    >>> [step.output_shape for step in kr.models.walk(model.encoder, model.stack)]
    [{'age': (None, 1)}, (None, 1), (None, 8), (None, 1)]
    """
    check_instance("encoder", encoder, FieldEncoder)
    shape: Any = initial_shapes(encoder)
    fields, inputs = shape
    for position, layer in enumerate(stack):
        if position == 0 and layer.needs_fields:
            yield Step(encoder, inputs, fields)
        given = stack_input(layer, shape, inputs)
        shape = output_shape(layer, given)
        yield Step(layer, given, shape)


def build_layers(encoder: FieldEncoder, stack: Iterable[keras.layers.Layer]) -> None:
    """Creates the weights of all layers, and of the encoder if the stack uses its fields."""
    for layer, shape, _ in walk(encoder, stack):
        build(layer, shape)


def call_layers(stack: Iterable[Any], fields: Any, inputs: Any, training: bool | None) -> Any:
    """Calls the layers of a stack in order, starting from fields and inputs; returns the last output."""
    x = [fields, inputs]
    for layer in stack:
        x = layer(stack_input(layer, x, inputs), training=training)
    return x


def initial_shapes(encoder: FieldEncoder) -> list[Any]:
    """Returns the shapes of the fields and of the inputs, from which a stack starts."""
    inputs = {
        name: (None, *spec.shape) for f in encoder.features for name, spec in f.inputs().items()
    }
    return [encoder.compute_output_shape(inputs), inputs]


def stack_input(layer: Any, x: Any, inputs: Any) -> Any:
    """Returns the input of a layer: the previous output, with the model inputs if it reads them.

    Args:
        layer: The layer.
        x: The previous output, or its shape.
        inputs: The model inputs, or their shapes.
    """
    return [x, inputs] if getattr(layer, "reads_inputs", False) else x


def output_shape(layer: Any, shape: Any) -> Any:
    """Returns the output shape of a layer, from a symbolic call if it does not declare it."""
    if type(layer).compute_output_shape is keras.layers.Layer.compute_output_shape:
        build(layer, shape)
        return layer.compute_output_spec(_symbolic(layer, shape)).shape
    return layer.compute_output_shape(shape)


def build(layer: Any, shape: Any) -> None:
    """Builds a layer unless it is built, by a symbolic call if it has no `build`."""
    if layer.built:
        return
    if type(layer).build is keras.layers.Layer.build:
        layer(_symbolic(layer, shape))
    elif isinstance(layer, keras.Sequential) and isinstance(shape, list):
        for (
            inner
        ) in layer.layers:  # Keras builds a Sequential with several inputs at its first call
            build(inner, shape)
            shape = output_shape(inner, shape)
    else:
        layer.build(shape)


def _symbolic(layer: Any, shape: Any) -> Any:
    if shape and isinstance(shape[0], tuple | list):
        return [_symbolic(layer, part) for part in shape]
    return keras.KerasTensor(shape, layer.compute_dtype)
