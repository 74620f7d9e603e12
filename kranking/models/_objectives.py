"""Losses, loss weights and metrics of a model, derived from its tasks."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras

from kranking._core import check_number
from kranking.features import Task
from kranking.losses import BinaryCrossentropy
from kranking.metrics import BinnedAUC, Calibration, NormalizedEntropy
from kranking.models._batch_rows import RowWeights
from kranking.models._task_metrics import metrics_by_task, takes_logits

_METRICS: tuple[Any, ...] = (NormalizedEntropy, Calibration, BinnedAUC)


def objectives_of(
    tasks: tuple[Task, ...], loss: Any, loss_weights: Any, given: Mapping[str, Any]
) -> dict[str, Any]:
    """Returns losses, loss weights and metrics for `compile`, by default from the tasks."""
    names = [task.name for task in tasks]
    weighted = given.get("weighted_metrics", _metrics(tasks))
    losses, weights = _losses(tasks, loss), _weights(tasks, loss_weights)
    return {
        "loss": losses,
        "loss_weights": {name: weights[name] for name in losses},
        "metrics": metrics_by_task("metrics", given["metrics"], names),
        "weighted_metrics": metrics_by_task("weighted_metrics", weighted, names),
    }


def _losses(tasks: Sequence[Task], loss: Any) -> dict[str, Any]:
    """Returns a loss for each task; a single loss is used for all, `None` is binary cross-entropy.

    A task that a dict leaves out is not trained, as in Keras.

    Raises:
        ValueError: If there is no such loss or task, or a loss expects probabilities, since the outputs
            of the model are logits.
    """
    if loss is None:
        return {task.name: BinaryCrossentropy() for task in tasks}
    losses = {k: one for k, one in _by_task("loss", loss, tasks).items() if one is not None}
    if not losses:
        raise ValueError(f"`loss` must have a loss for a task. Received: loss={loss!r}")
    return {name: _loss(one) for name, one in losses.items()}


def _loss(loss: Any) -> Any:
    """Returns a loss, a configuration as an object; raises `ValueError` unless it takes logits."""
    try:
        function = None if isinstance(loss, type) else keras.losses.get(loss)
    except (ValueError, TypeError, KeyError):
        function = None
    if function is None:
        raise ValueError(
            "`loss` must be objects of keras.losses, their names, or functions of labels and logits. "
            f"Received: loss={loss!r}"
        )
    if takes_logits(function) is False:
        raise ValueError(
            "`loss` must accept logits, the outputs of the model. Use "
            "kranking.losses.BinaryCrossentropy() or a loss with from_logits=True. "
            f"Received: loss={loss if isinstance(loss, str) else type(loss).__name__!r}"
        )
    return function if isinstance(loss, Mapping) else loss


def _weights(tasks: Sequence[Task], given: Any) -> dict[str, float]:
    """Returns the weight of each task in the loss."""
    weights = {task.name: task.weight for task in tasks}
    if given is not None:
        weights |= _by_task("loss_weights", given, tasks)
        for weight in weights.values():
            check_number("loss_weights", weight, low=0.0)
    return weights


def _by_task(argument: str, given: Any, tasks: Sequence[Task]) -> dict[str, Any]:
    """Returns values by task, given by task, in the order of the tasks, or one for all."""
    names = [task.name for task in tasks]
    if isinstance(given, list | tuple) and len(given) == len(names):
        return dict(zip(names, given))
    if isinstance(given, Mapping) and set(given) <= set(names):
        return dict(given)
    if isinstance(given, list | tuple) or (isinstance(given, Mapping) and "config" not in given):
        raise ValueError(
            f"`{argument}` must be one value, a list in the order of the tasks, or a dict by task, of "
            f"{names}. Received: {argument}={given!r}"
        )
    return dict.fromkeys(names, given)


def _metrics(tasks: tuple[Task, ...]) -> dict[str, list[Any]]:
    """Returns the metrics on logits for each task."""
    # Keras prefixes metric names with the output name only if there are several outputs.
    prefix = f"{tasks[0].name}_" if len(tasks) == 1 else ""
    return {
        task.name: [metric(name=prefix + metric().name, from_logits=True) for metric in _METRICS]
        for task in tasks
    }


def build_trackers(compile_loss: Any, tasks: Iterable[Task]) -> RowWeights:
    """Creates the Keras metric of each task's loss now, outside of any graph, weighted by rows.

    Keras would create them in the first step, and a TensorFlow graph rejects names such as "ü" or
    "two words".
    """
    outputs = {task.name: keras.KerasTensor((None, 1), "float32") for task in tasks}
    compile_loss.build(outputs, outputs)
    return RowWeights(compile_loss.metrics)
