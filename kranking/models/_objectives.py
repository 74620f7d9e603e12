"""Losses, loss weights and metrics of a model, derived from its tasks."""

from collections.abc import Iterable, Mapping
from typing import Any

import keras

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
    losses, names = _losses(tasks, loss), [task.name for task in tasks]
    weighted = given.get("weighted_metrics", _metrics(tasks))
    return {
        "loss": losses,
        "loss_weights": _weights(tasks, losses) if loss_weights is None else loss_weights,
        "metrics": metrics_by_task("metrics", given["metrics"], names),
        "weighted_metrics": metrics_by_task("weighted_metrics", weighted, names),
    }


def _losses(tasks: Iterable[Task], loss: Any) -> Any:
    """Returns a loss for each task; a single loss is used for all, `None` is binary cross-entropy.

    Raises:
        ValueError: If a loss expects probabilities, since the outputs of the model are logits.
    """
    if loss is None:
        return {task.name: BinaryCrossentropy() for task in tasks}
    given = list(loss.values()) if isinstance(loss, Mapping) else loss
    for one in given if isinstance(given, list | tuple) else [given]:
        if _takes_probabilities(one):
            raise ValueError(
                "`loss` must accept logits, the outputs of the model. Use "
                "kranking.losses.BinaryCrossentropy() or a loss with from_logits=True. "
                f"Received: loss={one if isinstance(one, str) else type(one).__name__!r}"
            )
    if isinstance(loss, Mapping | list | tuple):
        return loss
    return {task.name: loss for task in tasks}


def _weights(tasks: Iterable[Task], losses: Any) -> Any:
    """Returns the weight of each task."""
    return {task.name: task.weight for task in tasks} if isinstance(losses, Mapping) else None


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


def _takes_probabilities(loss: Any) -> bool:
    if isinstance(loss, str | dict):
        loss = keras.losses.get(loss)
    return takes_logits(loss) is False
