"""Transfer of a model configuration to another process, and its training step there."""

from typing import Any

import keras

from kranking.models import RankingModel


def request_of(model: RankingModel, batch_size: int, optimizer: Any, **more: Any) -> dict[str, Any]:
    """Serializes a model, without its weights, and its optimizer for a child process."""
    return {
        "model": keras.saving.serialize_keras_object(model),
        "optimizer": _portable(keras.optimizers.get(optimizer)),
        "batch_size": batch_size,
        **more,
    }


def _portable(optimizer: Any) -> dict[str, Any]:
    """Serializes an optimizer as the class in `keras.optimizers`; on PyTorch Keras subclasses it."""
    saved = keras.saving.serialize_keras_object(optimizer)
    name = next(
        c.__name__ for c in type(optimizer).__mro__ if hasattr(keras.optimizers, c.__name__)
    )
    if type(optimizer).__module__.startswith("keras."):
        saved |= {"module": "keras.optimizers", "class_name": name, "registered_name": None}
    inner = getattr(optimizer, "inner_optimizer", None)
    if inner is not None:
        saved["config"]["inner_optimizer"] = _portable(inner)
    return saved


def model_of(request: dict[str, Any]) -> RankingModel:
    """Creates the model of a request with new weights, compiled and with the slots of its optimizer."""
    for module in request.get("modules", ()):
        __import__(module)
    model = keras.saving.deserialize_keras_object(request["model"])
    optimizer = keras.saving.deserialize_keras_object(request["optimizer"])
    model.compile(optimizer, weighted_metrics=None)
    model.optimizer.build(model.trainable_variables)
    return model


def batch_shapes(model: RankingModel, batch_size: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns the shape and dtype of every input and label of a batch."""
    inputs = {
        name: ((batch_size, *spec.shape), keras.backend.standardize_dtype(spec.dtype))
        for name, spec in model.preprocessor.inputs.items()
    }
    return inputs, {task.name: ((batch_size, 1), "float32") for task in model.tasks}
