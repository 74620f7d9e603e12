"""Exact ranking metrics of a whole dataset at the end of each epoch."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import keras
import numpy as np

from kranking._core import as_tuple, check_instance, check_positive_int
from kranking.metrics import HitAtK, group_index
from kranking.metrics.internal import EvaluationMetrics
from kranking.models import RankingModel

# A call of the model has the overhead of several batches; this many batches are joined per call.
_BATCHES_AT_ONCE = 16


class RankingEvaluation(keras.callbacks.Callback):
    """Adds exact AUC, gAUC and HIT@k of a dataset to the logs at the end of each epoch.

    The model scores `data` once; then `logs[prefix + task + "_" + metric]` is computed for every
    task over its rows with nonzero weight. In `fit`, place it *before* the callbacks that read these
    logs (`EarlyStopping`, `ModelCheckpoint`); `fit` of a `RankingModel` tells their `mode="auto"` which
    direction is better. Outside `fit`, use `evaluate(model)`.

    - `"auc"`: weighted area under the ROC curve over all rows.
    - `"gauc"`: mean AUC over groups, weighted by impressions.
    - `"hit@3"`, or another number: mean hits among the top 3 of a session, unweighted. For its other
      variant, pass a `kranking.metrics.HitAtK` instead of a name.
    - `"ne"`, `"logloss"`, `"calibration"`: as the Keras metrics, in float64.

    Scores are the outputs of `model(x)`. An undefined value, such as the AUC of a task with a single class,
    is NaN.

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
        from_logits: Whether the outputs of the model are logits; those of a `RankingModel` are. Required
            for `"ne"`, `"logloss"` and `"calibration"` of other models.

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
        from_logits: bool | None = None,
    ):
        check_positive_int("batch_size", batch_size)
        if not isinstance(data, Iterable | keras.utils.PyDataset):
            raise ValueError(
                "`data` must be a reader, an iterable of batches or a tuple of arrays. "
                f"Received: data={data!r}"
            )
        if isinstance(data, Iterator) or getattr(data, "shuffled", False) is True:
            raise ValueError(
                "`data` must yield the same batches on every pass: a reader without shuffling, a list "
                "of batches or a tuple of arrays. "
                f"Received: data of type {type(data).__name__}"
            )
        super().__init__()
        self.data = data
        self.metrics = as_tuple("metrics", metrics, "names and HitAtK objects")
        self.prefix = prefix
        self.batch_size = batch_size
        self.from_logits = from_logits
        self.session = _column(data, "session", session)
        self.group = _column(data, "group", group)
        self._metrics = EvaluationMetrics(self.metrics, self.session, self.group, prefix)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Computes the metrics and adds them to `logs`."""
        values = self.evaluate(self.model)
        if logs is not None:
            logs.update(values)

    def evaluate(self, model: keras.Model) -> dict[str, float]:
        """Returns the metrics under the same names as in the logs."""
        check_instance("model", model, keras.Model)
        return self._metrics(self.collect(model), from_logits=self._from_logits(model))

    def directions(self, tasks: Sequence[str]) -> dict[str, str | None]:
        """Returns whether each log of these tasks is better `"up"` or `"down"`, or `None` for neither."""
        return self._metrics.directions(tasks)

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

    def _from_logits(self, model: keras.Model) -> bool:
        """Whether scores are logits, which the user must state for metrics that need to know."""
        stated = True if isinstance(model, RankingModel) else self.from_logits
        if stated is None and self._metrics.on_probabilities:
            raise ValueError(
                "`from_logits` must state whether a model that is no RankingModel has logits as outputs, "
                f"for the metrics {self._metrics.on_probabilities}. Received: from_logits=None"
            )
        return bool(stated)


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
