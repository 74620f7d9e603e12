"""The functions that a bundle serves, in TensorFlow and with ONNX encoders of raw columns."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from kranking.export.functions._signature import BATCH, Signature, Value
from kranking.features import Feature, RawColumns, as_model_inputs
from kranking.features import Sequence as History
from kranking.features.internal import encode_raw

IDS, SERVE, RANK, TOWER = "serve_ids", "serve", "rank", "user_tower"
ON_COLUMNS = (SERVE, RANK, TOWER)
ONNX_FILES = {IDS: "model.onnx", SERVE: "serve.onnx", RANK: "rank.onnx", TOWER: "user_tower.onnx"}
USER = "user_embedding"  # output of the tower; "user" could be the name of a column


@dataclass(frozen=True)
class Part:
    """Input columns of a function that share their first axis."""

    columns: RawColumns
    axis: str | int = BATCH

    def values(self) -> tuple[Value, ...]:
        """Returns the tensors of the columns."""
        specs = self.columns.inputs.items()
        return tuple(Value(name, s.dtype, s.shape, self.axis) for name, s in specs)

    def inputs(self) -> tuple[Value, ...]:
        """Returns the model inputs that the columns are encoded to."""
        named = (item for f in self.columns.features for item in f.inputs().items())
        return tuple(Value(name, s.dtype, s.shape, self.axis) for name, s in named)


@dataclass(frozen=True)
class ServedFunction:
    """A served function: `ids` is its signature on model inputs, `parts` its raw columns, if any."""

    name: str
    parts: tuple[Part, ...]
    ids: Signature
    function: Callable[[Mapping[str, Any]], dict[str, Any]]

    @property
    def signature(self) -> Signature:
        """The signature of the artefact."""
        if not self.parts:
            return self.ids
        return Signature(tuple(v for p in self.parts for v in p.values()), self.ids.outputs)

    def in_tensorflow(self, operations: Any) -> Callable[[Mapping[str, Any]], dict]:
        """Returns the function from the inputs of the signature to its outputs.

        Args:
            operations: The TensorFlow implementation of the operations of `features.encode_raw`.
        """
        if not self.parts:
            return self.function

        def on_columns(tensors):
            made = [encode_raw(operations, part.columns, tensors) for part in self.parts]
            return self.function({name: x for inputs in made for name, x in inputs.items()})

        return on_columns

    def fronts(self) -> list[tuple[Callable, list[tuple]]]:
        """Returns the encoders that `prepend` adds in front of the function on model inputs."""
        return [
            (
                lambda o, given, columns=part.columns: encode_raw(o, columns, given),
                [(v.name, v.dtype, v.shape, v.axis) for v in part.values()],
            )
            for part in self.parts
        ]


def is_of_request(feature: Feature) -> bool:
    """Whether a feature has one value per request, as features of the user and the context have.

    A history that is encoded with the candidate has a different value for each item, whatever its side.
    """
    fused = isinstance(feature, History) and feature.candidate is not None
    return feature.side != "item" and not fused


def names_on_columns(features: Sequence[Feature]) -> tuple[str, ...]:
    """Returns the names of the functions on columns that the features allow."""
    request = [is_of_request(f) for f in features]
    user = any(f.side == "user" and of for f, of in zip(features, request))
    rank = any(request) and not all(request)
    return (SERVE, *([RANK] if rank else []), *([TOWER] if user else []))


def functions_of(model: Any, names: Sequence[str]) -> list[ServedFunction]:
    """Returns the functions with these names, after the one on model inputs."""
    signature = Signature.of(model)
    functions = [
        ServedFunction(IDS, (), signature, lambda inputs: _probabilities(model, model(inputs)))
    ]
    makers = {SERVE: _serve, RANK: _rank, TOWER: _user_tower}
    return functions + [makers[name](model, signature) for name in names]


def _serve(model: Any, signature: Signature) -> ServedFunction:
    part = Part(RawColumns(model.features))
    return ServedFunction(
        SERVE, (part,), signature, lambda inputs: _probabilities(model, model(inputs))
    )


def rank_parts(features: Sequence[Feature]) -> tuple[Part, Part]:
    """Returns the columns of one request and those of its candidates."""
    request = RawColumns([f for f in features if is_of_request(f)], features)
    items = [f for f in features if not is_of_request(f)]
    return Part(request, 1), Part(RawColumns(items, features, taken=request.inputs))


def tower_part(features: Sequence[Feature]) -> Part:
    """Returns the columns of users."""
    users = [f for f in features if f.side == "user" and is_of_request(f)]
    return Part(RawColumns(users, features))


def _rank(model: Any, signature: Signature) -> ServedFunction:
    parts = rank_parts(model.features)
    request, items = (part.columns.features for part in parts)
    names = [value.name for value in parts[0].inputs()]
    counted = parts[1].inputs()[0].name

    def rank(inputs):
        count = ops.shape(inputs[counted])[0]

        def spread(x):
            return ops.broadcast_to(x, (count, *x.shape[1:]))

        fields = {}
        every = {name: spread(x) if name in names else x for name, x in inputs.items()}
        if model.stack[0].needs_fields:
            # A history may be encoded together with a feature of the request.
            fields = model.encoder.fields_of(items, every)
            once = model.encoder.fields_of(request, inputs)
            fields |= {name: spread(field) for name, field in once.items()}
            fields = {f.name: fields[f.name] for f in model.features}
        return _probabilities(model, model.logits_of(fields, every))

    ids = Signature(tuple(v for part in parts for v in part.inputs()), signature.outputs)
    return ServedFunction(RANK, parts, ids, rank)


def _user_tower(model: Any, signature: Signature) -> ServedFunction:
    part = tower_part(model.features)
    users = part.columns.features
    width = sum(model.encoder.field_widths[f.name] for f in users)

    def tower(inputs):
        fields = list(model.encoder.fields_of(users, inputs).values())
        return {USER: ops.concatenate(fields, axis=-1) if len(fields) > 1 else fields[0]}

    return ServedFunction(
        TOWER, (part,), Signature(part.inputs(), (Value(USER, "float32", (width,)),)), tower
    )


def run_keras(model: Any) -> Callable[[Mapping[str, Any]], dict[str, np.ndarray]]:
    """Returns a function from model inputs to the probabilities of the model, in NumPy."""

    def run(rows: Mapping[str, Any]) -> dict[str, np.ndarray]:
        answers = _probabilities(model, model(as_model_inputs(rows)))
        return {name: np.asarray(ops.convert_to_numpy(p)) for name, p in answers.items()}

    return run


def _probabilities(model: Any, logits: Any) -> dict[str, Any]:
    answers = model.probabilities(logits)
    return {task.name: keras.ops.cast(answers[task.name], "float32") for task in model.tasks}
