"""What a mean over a batch weighs: its rows, in the logs of task losses and among replicas."""

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import keras
from keras import ops

from kranking.models._distribution import under_strategy


class RowWeights:
    """Weights the task losses in the logs by the rows of their batches.

    `task_loss = Σ_batches rows · loss / Σ_batches rows`, as Keras does for the total loss. For the losses
    of tasks, it uses the static size of the batch, which no TensorFlow graph knows, so that a short last
    batch counts as much as a full one.

    Args:
        metrics: The Keras metrics of the task losses; their `update_state` is replaced.
    """

    def __init__(self, metrics: Iterable[keras.metrics.Metric]):
        self._current = threading.local()  # replicas of tf.distribute are traced in threads
        for metric in metrics:
            metric.update_state = partial(self._update, metric)

    @contextmanager
    def of(self, y_pred: Any) -> Iterator[None]:
        """Sets the rows of the batch whose outputs are given, while its loss is computed."""
        self._current.rows = _rows_of(y_pred)
        try:
            yield
        finally:
            del self._current.rows

    def _update(self, metric: Any, values: Any, sample_weight: Any = None) -> None:
        rows = getattr(self._current, "rows", sample_weight)
        type(metric).update_state(metric, values, sample_weight=rows)


def weigh_replica(loss: Any, additional: Iterable[Any], y_pred: Any) -> Any:
    """Makes the gradient of a replica's loss count its rows; the value of the loss stays its own mean.

    Keras gives each of R replicas the weight 1 / R, whatever part of the batch it has. Of a batch whose
    rows do not divide evenly, or that is shorter than the others, replicas have different numbers of
    rows, even none. With `weight = R · rows / Σ rows`, the summed gradient is that of one device. Losses
    that do not depend on rows, such as regularizers, keep their weight.

    Args:
        loss: The loss of this replica, divided by the number of replicas.
        additional: The losses of layers that it contains, not yet divided.
        y_pred: The outputs of this replica's rows.
    """
    if not under_strategy():
        return loss
    import tensorflow as tf

    replica = tf.distribute.get_replica_context()
    if replica is None or replica.num_replicas_in_sync == 1:
        return loss
    replicas = replica.num_replicas_in_sync
    rows = tf.cast(_rows_of(y_pred), "float32")
    total = replica.all_reduce(tf.distribute.ReduceOp.SUM, rows)
    of_rows = loss
    for one in additional:
        of_rows = of_rows - tf.reduce_sum(tf.cast(one, loss.dtype)) / replicas
    weight = tf.cast(replicas * rows / total, loss.dtype)
    return loss + (weight - 1.0) * (of_rows - tf.stop_gradient(of_rows))


def _rows_of(y_pred: Any) -> Any:
    return ops.shape(keras.tree.flatten(y_pred)[0])[0]
