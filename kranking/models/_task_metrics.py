"""Metrics of the tasks of a model: each gets what it takes, probabilities or logits."""

import inspect
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras
from keras import ops

from kranking._core import serializable
from kranking.features import Task
from kranking.metrics import BinnedAUC, Calibration, LogLoss, NormalizedEntropy

_OWN = (BinnedAUC, Calibration, LogLoss, NormalizedEntropy)
# What Keras makes of these names for labels of 0 and 1.
_NAMES = {
    "accuracy": "binary_accuracy",
    "acc": "binary_accuracy",
    "crossentropy": "binary_crossentropy",
    "ce": "binary_crossentropy",
}


@serializable
class TaskMetric(keras.metrics.Metric):
    """A metric of Keras or of a user for one task of a model, whose outputs are logits.

    The metric gets labels `(batch, 1)`, and logits if it takes them, else probabilities.

    Args:
        metric: The metric, or its serialized configuration.
    """

    def __init__(self, metric: Any, name: str | None = None, dtype=None):
        metric = keras.metrics.get(metric)
        super().__init__(name=name or metric.name, dtype=dtype or metric.dtype)
        self.metric = metric
        if hasattr(metric, "_direction"):
            self._direction = metric._direction

    def update_state(self, y_true, y_pred, sample_weight=None):
        weights = () if sample_weight is None else (sample_weight,)
        labels = ops.reshape(y_true, ops.shape(y_pred))
        score = y_pred if takes_logits(self.metric) else ops.sigmoid(y_pred)
        self.metric.update_state(labels, score, *weights)

    def result(self):
        return self.metric.result()

    def reset_state(self):
        self.metric.reset_state()

    def get_config(self):
        inner = keras.saving.serialize_keras_object(self.metric)
        return {**super().get_config(), "metric": inner}


def metrics_by_task(argument: str, given: Any, tasks: Sequence[str]) -> dict[str, list[Any]] | None:
    """Returns the metrics of each task, which take outputs of a model.

    A list is for all tasks, each of which gets metrics of its own.

    Args:
        argument: Name of the argument, for errors.
        given: A list of metrics, or a dict of lists or metrics by task.
        tasks: Names of the tasks.

    Raises:
        ValueError: If a metric is unknown, or the metrics are for other tasks.
    """
    if given is None or (isinstance(given, Sequence | Mapping) and not given):
        return None
    by_task = given if isinstance(given, Mapping) else dict.fromkeys(tasks, given)
    listed = {task: one if _is_list(one) else [one] for task, one in by_task.items()}
    unknown = sorted(map(str, set(listed) - set(tasks)))
    if unknown or any(_is_list(m) or isinstance(m, Mapping) for ms in listed.values() for m in ms):
        raise ValueError(
            f"`{argument}` must be a list of metrics for all tasks, or a dict of such lists by task, of "
            f"{list(tasks)}. Received: {f'metrics of {unknown}' if unknown else given}"
        )
    seen: set[int] = set()
    return {
        task: [_on_logits(argument, one, seen) for one in ones if one is not None]
        for task, ones in listed.items()
    }


def directions_of(tasks: Sequence[Task], compiled: Mapping[str, Any]) -> dict[str, str | None]:
    """Returns whether each log of a model is better `"up"` or `"down"`, or `None` for neither.

    Args:
        tasks: The tasks of the model.
        compiled: `metrics` and `weighted_metrics` by task, as `metrics_by_task` returns them.
    """
    found: dict[str, str | None] = {"loss": "down"}
    several = len(tasks) > 1
    found |= dict.fromkeys([f"{task.name}_loss" for task in tasks] if several else [], "down")
    for argument in ("metrics", "weighted_metrics"):
        for task, ones in (compiled[argument] or {}).items():
            for one in ones:
                name = f"{task}_{one.name}" if several else one.name
                again = f"{task}_weighted_{one.name}" if several else f"weighted_{one.name}"
                found[again if name in found else name] = getattr(one, "_direction", None)
    return found


def takes_logits(function: Any) -> bool | None:
    """Whether a loss or metric takes logits; `None` if it does not say."""
    for name in ("from_logits", "_from_logits"):
        if hasattr(function, name):
            return bool(getattr(function, name))
    try:
        parameter = inspect.signature(function).parameters.get("from_logits")
    except (TypeError, ValueError):
        return None
    return None if parameter is None else parameter.default is True


def _on_logits(argument: str, given: Any, seen: set[int]) -> Any:
    metric = _metric(argument, given)
    if id(metric) in seen:  # one object would mix the rows of several tasks
        metric = _copied(argument, metric)
    seen.add(id(metric))
    own = isinstance(metric, _OWN) and metric.from_logits
    return metric if own or isinstance(metric, TaskMetric) else TaskMetric(metric)


def _copied(argument: str, metric: Any) -> Any:
    try:
        return type(metric).from_config(metric.get_config())
    except Exception as error:  # of a class whose configuration is not that of its arguments
        raise ValueError(
            f"`{argument}` must be one object for each task, in a dict by task, if it cannot be created "
            f"again from its `get_config`. Received: {metric.name!r} for several tasks"
        ) from error


def _metric(argument: str, given: Any) -> keras.metrics.Metric:
    if isinstance(given, keras.metrics.Metric):
        return given
    known = isinstance(given, str | dict) or callable(given)
    if not known or isinstance(given, type):
        raise ValueError(
            f"`{argument}` must be metrics, their names or functions of labels and predictions. "
            f"Received: {given!r}"
        )
    try:
        metric: Any = keras.metrics.get(
            _NAMES.get(given, given) if isinstance(given, str) else given
        )
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"`{argument}` must be metrics, their names as in keras.metrics, or functions. "
            f"Received: {given!r}"
        ) from error
    if isinstance(metric, keras.metrics.Metric):
        if isinstance(given, str):
            metric.name = given  # as Keras names it in the logs
        return metric
    name = given if isinstance(given, str) else getattr(given, "__name__", type(given).__name__)
    wrapped = keras.metrics.MeanMetricWrapper(metric, name=name)
    if takes_logits(metric):
        wrapped.from_logits = True
    return wrapped


def _is_list(value: Any) -> bool:
    return isinstance(value, Iterable) and not isinstance(
        value, str | Mapping | keras.metrics.Metric
    )
