"""Checks of the declarations of a layer: weights, configuration, shapes."""

import inspect
import json
from typing import Any

import keras
import numpy as np

from kranking.testing._case import Case, paths, run, to_numpy


class _Trace(keras.layers.Layer):
    """Runs the `call` of another layer, so that Keras infers the shapes by tracing."""

    def __init__(self, layer):
        super().__init__(autocast=False)
        self.layer = layer

    def build(self, input_shape):
        """Does nothing: the traced layer is built already."""

    def call(self, inputs):
        """Calls the traced layer."""
        return self.layer.call(inputs)


def check_build(case: Case) -> None:
    """Checks that `build` alone creates all variables."""
    layer = case.layer()
    layer.build(case.build_shape())
    before = len(layer.variables)
    case.attempt("build", "a call after `build` fails", lambda: layer(case.inputs()))
    case.require(
        len(layer.variables) == before,
        "build",
        f"`build({case.build_shape()})` created {before} of {len(layer.variables)} variables; "
        "the first call created the others, which a loaded file would lose",
    )


def check_starts(case: Case) -> None:
    """Checks that no two random weights have the same initial value."""
    layer = case.layer()
    layer.build(case.build_shape())
    seen: dict[tuple[Any, bytes], str] = {}
    for path, weight in paths(layer).items():
        value = to_numpy(weight)
        if value.dtype.kind != "f" or value.size < 2 or np.ptp(value) == 0:
            continue
        twin = seen.setdefault((value.shape, value.tobytes()), path)
        case.require(
            twin == path,
            "starts",
            f"the random weights {twin!r} and {path!r} have the same initial value; use a clone of "
            "the initializer for each",
        )


def check_config(case: Case) -> None:
    """Checks that the configuration is complete and survives JSON, and that the class is registered."""
    layer = case.layer(name="kept")
    config = layer.get_config()
    parameters = list(inspect.signature(case.cls).parameters.values())
    names = [p.name for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
    for name in [*names, "name", "dtype"]:
        case.require(
            name in config, "config", f"`get_config()` does not contain the argument {name!r}"
        )
    registered = keras.saving.get_registered_name(case.cls)
    case.require(
        keras.saving.get_registered_object(registered) is case.cls
        or case.cls.__module__.startswith("keras."),
        "registration",
        "the class is not registered with Keras; decorate it with "
        "`keras.saving.register_keras_serializable`",
    )
    given = case.arguments()
    text = json.dumps(keras.saving.serialize_keras_object(layer))
    again = keras.saving.deserialize_keras_object(json.loads(text)).get_config()
    for name, value in config.items():
        case.require(
            json.dumps(again[name]) == json.dumps(value),
            "config",
            f"{name!r} is {value!r}, but {again[name]!r} after a round trip through JSON",
        )
        plain = isinstance(given.get(name), int | float) and isinstance(value, int | float)
        case.require(
            not plain or given[name] == value,
            "config",
            f"{name!r} was passed as {given.get(name)!r}, but is {value!r} in `get_config()`",
        )


def check_shapes(case: Case) -> None:
    """Checks that symbolic, declared and eager shapes agree, also for a single row."""
    layer = case.built()
    layer(case.symbols())
    # A symbolic call of the layer itself trusts `compute_output_shape`.
    traced = case.attempt(
        "shapes",
        "a call with an unknown batch axis fails",
        lambda: _Trace(layer)(case.symbols()),
    )
    symbolic = [tuple(output.shape) for output in keras.tree.flatten(traced)]
    declared = _shapes(layer.compute_output_shape(case.build_shape()))
    case.require(
        symbolic == declared,
        "shapes",
        f"a symbolic call returns {symbolic}, `compute_output_shape` returns {declared}",
    )
    case.require(
        all(shape and shape[0] is None for shape in symbolic),
        "shapes",
        f"the batch axis is lost: a symbolic call returns {symbolic}",
    )
    for batch in (case.batch, 1):
        inputs = case.inputs(batch)
        outputs = case.attempt(
            "shapes", f"a batch of {batch} fails", lambda values=inputs: run(layer, values)
        )
        eager = [output.shape for output in outputs]
        declared = _shapes(layer.compute_output_shape(case.build_shape(batch)))
        case.require(
            eager == declared,
            "shapes",
            f"a batch of {batch} returns {eager}, `compute_output_shape` returns {declared}",
        )


def _shapes(shape: Any) -> list[tuple[int | None, ...]]:
    """Returns a list of shapes from one shape, or from a list or dict of shapes."""
    if isinstance(shape, dict):
        return [s for key in sorted(shape) for s in _shapes(shape[key])]
    if len(shape) and isinstance(shape[0], list | tuple):
        return [s for inner in shape for s in _shapes(inner)]
    return [tuple(shape)]
