"""The way through a model: every layer with the shapes that it reads and returns."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import keras

from kranking.features import FieldEncoder


class Step(NamedTuple):
    """A layer of a model with the shape of its input and of its output."""

    layer: Any
    input_shape: Any
    output_shape: Any


def walk(encoder: FieldEncoder, stack: Iterable[keras.layers.Layer]) -> Iterator[Step]:
    """Yields each layer of a model with its input and output shapes, from the fields to the heads.

    The encoder comes first if the stack reads its fields. A layer that reads the model's inputs as well
    has a list of two input shapes.

    Args:
        encoder: The model's encoder.
        stack: The layers behind it, as in `model.stack` of a model that is built.

    Yields:
        Tuples `(layer, input_shape, output_shape)`.

    >>> age = kr.features.Numeric("age", mean=40.0, std=10.0)
    >>> model = kr.RankingModel([age], [kr.layers.MLP([8])], [kr.Task("save")])
    >>> [step.output_shape for step in kr.models.walk(model.encoder, model.stack)]
    [{'age': (None, 1)}, (None, 1), (None, 8), (None, 1)]
    """
    shape: Any = initial_shapes(encoder)
    fields, inputs = shape
    for position, layer in enumerate(stack):
        if position == 0 and layer.needs_fields:
            yield Step(encoder, inputs, fields)
        given = stack_input(layer, shape, inputs)
        shape = output_shape(layer, given)
        yield Step(layer, given, shape)


def build_layers(encoder: FieldEncoder, stack: Iterable[keras.layers.Layer]) -> None:
    """Creates the weights of the encoder, if the stack reads its fields, and of every layer."""
    for layer, shape, _ in walk(encoder, stack):
        build(layer, shape)


def call_layers(stack: Iterable[Any], fields: Any, inputs: Any, training: bool | None) -> Any:
    """Calls the layers of a stack, the first with fields and inputs; returns the last one's output."""
    x = [fields, inputs]
    for layer in stack:
        x = layer(stack_input(layer, x, inputs), training=training)
    return x


def initial_shapes(encoder: FieldEncoder) -> list[Any]:
    """Returns the shapes that a stack starts from: those of the fields and of the inputs."""
    inputs = {
        name: (None, *spec.shape) for f in encoder.features for name, spec in f.inputs().items()
    }
    return [encoder.compute_output_shape(inputs), inputs]


def stack_input(layer: Any, x: Any, inputs: Any) -> Any:
    """Returns the input of a layer: the output before it, with the model's inputs if it reads them.

    Args:
        layer: The layer.
        x: The output before it, or its shape.
        inputs: The model's inputs, or their shapes.
    """
    return [x, inputs] if getattr(layer, "reads_inputs", False) else x


def output_shape(layer: Any, shape: Any) -> Any:
    """Returns a layer's output shape, also of one that knows it by a call only."""
    if type(layer).compute_output_shape is keras.layers.Layer.compute_output_shape:
        build(layer, shape)
        return layer.compute_output_spec(_symbolic(layer, shape)).shape
    return layer.compute_output_shape(shape)


def build(layer: Any, shape: Any) -> None:
    """Builds a layer that is not built yet, also one that leaves this to its first call."""
    if layer.built:
        return
    if type(layer).build is keras.layers.Layer.build:
        layer(_symbolic(layer, shape))
    elif isinstance(layer, keras.Sequential) and isinstance(shape, list):
        for inner in layer.layers:  # Keras leaves a chain of several inputs to its first call
            build(inner, shape)
            shape = output_shape(inner, shape)
    else:
        layer.build(shape)


def _symbolic(layer: Any, shape: Any) -> Any:
    if shape and isinstance(shape[0], tuple | list):
        return [_symbolic(layer, part) for part in shape]
    return keras.KerasTensor(shape, layer.compute_dtype)
