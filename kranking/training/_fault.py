"""Finds the first step and layer with a non-finite value by replaying training steps."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras
from keras import ops

from kranking.training._layers_in import layers_in
from kranking.training._learning_rate import has_fixed_rate
from kranking.training._model_state import ModelState, all_finite, broken_layers


@dataclass(frozen=True)
class Fault:
    """The first fault of a training.

    Attributes:
        kind: `"loss"`, `"gradient"` or `"weight"`.
        step: Number of the step.
        layer: Path of the layer, or `"inputs"`, `"labels"` or `"loss"`.
    """

    kind: str
    step: int
    layer: str | None


def find_fault(model: Any, good: ModelState, batches: Sequence[Any], first: int) -> Fault | None:
    """Replays `batches` from a good state and returns the first fault, or `None` if all is finite.

    `first` is the step of the first batch. The state of the model afterward is undefined.
    """
    good.restore()
    for i, batch in enumerate(batches):
        loss_finite = math.isfinite(_train(model, batch))
        if loss_finite and all_finite(model):
            continue
        broken = broken_layers(model)
        # The step has overwritten the state before it.
        good.restore()
        for earlier in batches[:i]:
            _train(model, earlier)
        if not loss_finite:
            return Fault("loss", first + i, _first_in_forward(model, batch))
        before = ModelState(model, first + i - 1)
        order = [name for name, _ in forward(model, batch)]
        before.restore()  # a call changes random states and moving means
        # Gradients flow backward, so the last layer with non-finite weights failed first.
        broken.sort(key=lambda name: order.index(name) if name in order else -1)
        return Fault(_kind(model, batch), first + i, broken[-1] if broken else None)
    return None


def forward(model: Any, batch: Any) -> list[tuple[str, bool]]:
    """Calls the model and returns, per layer, whether its output is finite, innermost first."""
    x, _, _ = keras.utils.unpack_x_y_sample_weight(batch)
    seen: list[tuple[str, bool]] = []
    with _watched(model, seen):
        model(x, training=True)
    return seen


def _first_in_forward(model: Any, batch: Any) -> str:
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(batch)
    if not _finite(x):
        return "inputs"
    name = next((name for name, finite in forward(model, batch) if not finite), None)
    if name is None:
        return "loss" if _finite((y, sample_weight)) else "labels"
    return name


def _kind(model: Any, batch: Any) -> str:
    """Returns `"weight"` or `"gradient"`: at rate 0, only a non-finite gradient changes the weights."""
    if not has_fixed_rate(model):
        return "weight"
    model.optimizer.learning_rate = 0.0
    _train(model, batch)
    return "weight" if all_finite(model) else "gradient"


def _train(model: Any, batch: Any) -> float:
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(batch)
    return float(model.train_on_batch(x, y, sample_weight, return_dict=True)["loss"])


@contextmanager
def _watched(model: Any, seen: list[tuple[str, bool]]) -> Iterator[None]:
    layers = list(layers_in(model))
    for layer in layers:
        # Bypasses the `__setattr__` of Keras and PyTorch, which track attributes.
        object.__setattr__(layer, "call", _watching(layer, seen))
    try:
        yield
    finally:
        for layer in layers:
            object.__delattr__(layer, "call")


def _watching(layer: Any, seen: list[tuple[str, bool]]) -> Any:
    call = layer.call

    def watching(*args, **kwargs):
        outputs = call(*args, **kwargs)
        seen.append((layer.path or layer.name, _finite(outputs)))
        return outputs

    return watching


def _finite(values: Any) -> bool:
    for value in keras.tree.flatten(values):
        if value is None or not hasattr(value, "dtype"):
            continue
        if "float" not in keras.backend.standardize_dtype(value.dtype):
            continue
        try:
            if not bool(ops.all(ops.isfinite(value))):
                return False
        except TypeError:  # a layer inside a compiled loop, whose values are symbolic
            continue
    return True
