"""Auxiliary losses of layers that compute auxiliary logits."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import keras
from keras import ops

from kranking.features import Task


class Auxiliary:
    """Computes the auxiliary losses of the layers of a model.

    Args:
        tasks: The tasks, in the order of the logits.
        loss_weights: Weights of the losses by task, 0 for a task without one; `None` means 1 for all.
    """

    def __init__(self, tasks: Iterable[Task], loss_weights: Any):
        self.names = [task.name for task in tasks]
        weights = dict.fromkeys(self.names, 1.0) if loss_weights is None else loss_weights
        self.weights = [float(weights.get(name, 0.0)) for name in self.names]
        self.scaled = _Scaled(name="auxiliary")

    def __call__(self, layers: Iterable[Any], y: Any, logits: Any, sample_weight: Any) -> Any:
        """Computes the weighted sum over tasks and layers; `None` if no layer has an auxiliary loss.

        Args:
            layers: Layers of the model, in the order of calls.
            y: Labels by task, as passed to `fit`.
            logits: Final logits `(batch, 1)` by task.
            sample_weight: `None`, one array for all tasks, or arrays by task.
        """
        asking = [layer for layer in _with_inner_layers(layers) if _loss_of(layer) is not None]
        if not asking:
            return None
        labels = self._columns(y)
        final = self._columns(logits)
        weights = None if sample_weight is None else self._columns(sample_weight)
        total = 0.0
        for layer in asking:
            kept, layer.auxiliary = layer.auxiliary, {}  # so that no logit outlives its step
            if not kept:
                raise ValueError(
                    f"Layer {layer.name!r} has an auxiliary loss but no auxiliary logits. Call the model "
                    "with `training=True` before `compute_loss`, in the same thread."
                )
            kept = {name: ops.cast(part, final.dtype) for name, part in kept.items()}
            by_task = _loss_of(layer)(labels, final, kept, weights)
            total = total + ops.sum(by_task * ops.convert_to_tensor(self.weights, final.dtype))
        total = ops.reshape(total, (1,))
        return self.scaled(total, total)

    def _columns(self, given: Any) -> Any:
        """Stacks labels, logits or sample weights to one tensor `(batch, tasks)`."""
        columns = [ops.reshape(ops.cast(c, "float32"), (-1,)) for c in self._by_task(given)]
        return ops.stack(columns, axis=1)

    def _by_task(self, given: Any) -> list[Any]:
        """Returns one value per task, from a dict, a list in Keras's order or a single value for all."""
        if isinstance(given, list | tuple):
            given = keras.tree.pack_sequence_as(dict.fromkeys(self.names, 0), list(given))
        return [given[name] if isinstance(given, Mapping) else given for name in self.names]


class _Scaled(keras.losses.Loss):
    """Scales a mean as Keras scales its losses: divided by the number of tf.distribute replicas."""

    def call(self, y_true, y_pred):
        return y_pred


def _loss_of(layer: Any) -> Any:
    loss = getattr(layer, "auxiliary_loss", None)
    return loss if hasattr(layer, "auxiliary") else None


def _with_inner_layers(layers: Iterable[Any]) -> Iterator[Any]:
    """Yields layers and, recursively, the layers inside them."""
    for layer in layers:
        yield layer
        chain = isinstance(layer, keras.Sequential)
        yield from _with_inner_layers(layer.layers if chain else getattr(layer, "inner_layers", ()))
