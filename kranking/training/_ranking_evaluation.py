"""Exact ranking metrics of a whole dataset at the end of each epoch."""

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Any

import keras
import numpy as np

from kranking._core import check_positive_int
from kranking.metrics import (
    HitAtK,
    auc,
    calibration,
    group_index,
    grouped_auc,
    log_loss,
    normalized_entropy,
)

# A call of the model has the overhead of several batches; this many batches are joined per call.
_BATCHES_AT_ONCE = 16

_POINTWISE = {
    "auc": auc,
    "ne": normalized_entropy,
    "logloss": log_loss,
    "calibration": calibration,
}


class RankingEvaluation(keras.callbacks.Callback):
    """Adds exact AUC, gAUC and HIT@k of a dataset to the logs at the end of each epoch.

    The model scores `data` once; then `logs[prefix + task + "_" + metric]` is computed for every
    task over its rows with nonzero weight. In `fit`, place it *before* the callbacks that read these
    logs (`EarlyStopping`, `ModelCheckpoint`), and set their `mode="max"`. Outside `fit`, use
    `evaluate(model)`.

    - `"auc"`: weighted area under the ROC curve over all rows.
    - `"gauc"`: mean AUC over groups, weighted by impressions.
    - `"hit@3"`, or another number: mean hits among the top 3 of a session, unweighted. For its other
      variant, pass a `kranking.metrics.HitAtK` instead of a name.
    - `"ne"`, `"logloss"`, `"calibration"`: as the Keras metrics, in float64.

    Scores are the outputs of `model(x)`, which are logits for a `kranking.RankingModel`. An undefined
    value, such as the AUC of a task with a single class, is NaN.

    Args:
        data: A reader, or any iterable that yields the same `(x, y)` or `(x, y, sample_weight)`
            batches in the same order on every pass; or one such tuple of whole arrays or dicts of
            arrays.
        session: Session of each row, shape `(rows,)`, or the name of a column, read by
            `data.column(name)`.
        metrics: Names as above, or `HitAtK` objects.
        group: Group of each row for `"gauc"`, such as the user, in the same form as `session`.
            `None` uses the sessions.
        prefix: Prefix of every name.
        batch_size: Number of rows per batch when `data` is a tuple of arrays.

    >>> inputs = keras.Input((1,))
    >>> model = keras.Model(inputs, {"save": keras.layers.Dense(1, kernel_initializer="ones")(inputs)})
    >>> data = np.array([[1.0], [2.0], [3.0]]), {"save": np.array([0, 1, 0])}
    >>> RankingEvaluation(data, session=np.zeros(3), metrics=["auc", "hit@2"]).evaluate(model)
    {'val_save_auc': 0.5, 'val_save_hit@2': 1.0}

    Reference: gAUC of [Zhou et al., 2018](https://arxiv.org/abs/1706.06978)
    """

    def __init__(
        self,
        data: Any,
        session: np.ndarray | str | None = None,
        metrics: Sequence[str | HitAtK] = ("auc", "gauc", "hit@3"),
        *,
        group: np.ndarray | str | None = None,
        prefix: str = "val_",
        batch_size: int = 4096,
    ):
        check_positive_int("batch_size", batch_size)
        if isinstance(data, Iterator) or getattr(data, "shuffled", False) is True:
            raise ValueError(
                "`data` must yield the same batches on every pass: a reader without shuffling, a list "
                "of batches or a tuple of arrays. "
                f"Received: data of type {type(data).__name__}"
            )
        super().__init__()
        self.data = data
        self.metrics = tuple(metrics)
        self.prefix = prefix
        self.batch_size = batch_size
        self.session = _column(data, "session", session)
        self.group = _column(data, "group", group)
        self._functions = self._resolve()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Computes the metrics and adds them to `logs`."""
        values = self.evaluate(self.model)
        if logs is not None:
            logs.update(values)

    def evaluate(self, model: keras.Model) -> dict[str, float]:
        """Returns the metrics under the same names as in the logs."""
        values = {}
        for task, (y, score, weight) in self.collect(model).items():
            start = f"{self.prefix}{task}_" if task else self.prefix
            for name, function in self._functions.items():
                values[start + name] = function(y, score, weight)
        return values

    def collect(self, model: keras.Model) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Returns label, score and weight per task, arrays `(rows,)` in row order.

        Masked rows are included with weight 0. The task of a single unnamed output is `""`.
        """
        whole = isinstance(self.data, tuple)
        batches = iter([self.data] if whole else self.data)
        labels, weights, scores = [], [], []
        while some := [_unpack(batch) for batch in islice(batches, _BATCHES_AT_ONCE)]:
            labels += [_by_task(y) for _, y, _ in some]
            weights += [_weights(y, weight) for _, y, weight in some]
            size = self.batch_size if whole else max(_num_rows(labels[0]), 1)
            scores += _score(model, [x for x, _, _ in some], size)
        if not labels:
            raise ValueError("`data` must yield at least one batch. Received: none")
        labels, weights = _join(labels), _join(weights)
        scores = _join(scores) if scores else labels  # no row, no score
        missing = sorted(set(labels) - set(scores))
        if missing:
            raise ValueError(
                f"`data` must have labels for the outputs of the model, {sorted(scores)}. "
                f"Received: labels of {missing}"
            )
        return {task: (y, scores[task], weights[task]) for task, y in labels.items()}

    def _resolve(self) -> dict[str, Callable[..., float]]:
        functions = {}
        for metric in self.metrics:
            name, function, by = self._lookup(metric)
            if name in functions:
                raise ValueError(f"`metrics` must not contain duplicates. Received twice: {name!r}")
            if by is not None and getattr(self, by) is None:
                raise ValueError(f"`{by}` is required by metric {name!r}. Received: {by}=None")
            functions[name] = function
        return functions

    def _lookup(self, metric):
        """Returns the name of a metric, its function of (y, score, weight), and its grouping argument."""
        if isinstance(metric, str) and re.fullmatch(r"hit@[1-9][0-9]*", metric):
            metric = HitAtK(int(metric.removeprefix("hit@")))
        if isinstance(metric, HitAtK):
            return metric.name, partial(_hits, metric, self.session), "session"
        if metric == "gauc":
            by = "session" if self.group is None else "group"
            return metric, partial(_grouped, by, getattr(self, by)), by
        if metric in _POINTWISE:
            return metric, _POINTWISE[metric], None
        raise ValueError(
            f"`metrics` must be names in {[*_POINTWISE, 'gauc', 'hit@3']}, with any number for 3, or "
            f"HitAtK objects. Received: {metric!r}"
        )


def _hits(metric: HitAtK, session, y, score, weight):
    _check_length("session", session, len(y))
    kept = weight != 0
    return metric(y[kept], score[kept], session[kept])


def _grouped(argument, group, y, score, weight):
    _check_length(argument, group, len(y))
    return grouped_auc(y, score, group, weight)


def _check_length(name, values, rows):
    if len(values) != rows:
        raise ValueError(
            f"`{name}` must have one value for each of the {rows} rows of `data`. "
            f"Received: {len(values)} values"
        )


def _column(data, argument, value):
    if value is None:
        return None
    if isinstance(value, str):
        if not hasattr(data, "column"):
            raise ValueError(
                f"`{argument}` must be an array, since `data` has no method `column`. "
                f"Received: {argument}={value!r}"
            )
        value = data.column(value)
    return group_index(value, argument)[1]  # sorts strings once, not at each epoch


def _score(model, inputs: list, batch_size: int) -> list[Mapping[str, Any]]:
    """Returns a list with the outputs by task for the joined batches, empty without rows."""
    x = keras.tree.map_structure(
        lambda *parts: np.concatenate([keras.ops.convert_to_numpy(part) for part in parts]),
        *inputs,
    )
    rows = len(keras.tree.flatten(x)[0])
    if not rows:
        return []
    distribution = keras.distribution.distribution()
    if distribution is not None:
        # JAX splits a batch into equal parts, so the last row is repeated to fill up the batch.
        batch_size += -batch_size % math.prod(distribution.device_mesh.shape)
        repeated = np.minimum(np.arange(rows + -rows % batch_size), rows - 1)
        x = keras.tree.map_structure(lambda part: part[repeated], x)
    # Not `model.predict`, which returns probabilities for RankingModel; high ones tie in float32.
    found = _by_task(keras.Model.predict(model, x, batch_size=batch_size, verbose=0))
    return [{task: scores[:rows] for task, scores in found.items()}]


def _unpack(batch):
    x, y, weight = keras.utils.unpack_x_y_sample_weight(batch)
    if y is None:
        raise ValueError("`data` must have labels. Received: inputs only")
    return x, y, weight


def _by_task(values) -> Mapping[str, Any]:
    return values if isinstance(values, Mapping) else {"": values}


def _num_rows(y) -> int:
    return len(next(iter(y.values())))


def _weights(y, weight):
    """Returns the weights of a batch by task: per task, shared by all tasks, or ones."""
    labels = _by_task(y)
    own = weight if isinstance(weight, Mapping) else dict.fromkeys(labels, weight)
    return {
        task: np.ones(len(values)) if own.get(task) is None else own[task]
        for task, values in labels.items()
    }


def _join(parts: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray]:
    return {
        task: np.concatenate([keras.ops.convert_to_numpy(part[task]).reshape(-1) for part in parts])
        for task in parts[0]
    }
