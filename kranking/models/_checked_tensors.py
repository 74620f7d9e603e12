"""Labels and weights of a `tf.data.Dataset`, checked on the host like those of arrays."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kranking.features import Task


def with_checked_labels(data: Any, tasks: Sequence[Task], targets: Callable[..., Any]) -> Any:
    """Returns a `tf.data.Dataset` whose labels and weights are checked and in the order of the tasks.

    Each batch is checked by one call of Python in the thread that prepares it.

    Args:
        data: A dataset of batches `(x, y)` or `(x, y, sample_weight)`; others are returned as they are.
        tasks: The tasks.
        targets: Function from labels and weights to checked `Targets`.

    Raises:
        ValueError: If labels or weights are no dense tensors.
    """
    import tensorflow as tf

    parts = data.element_spec
    if not isinstance(parts, tuple) or len(parts) < 2 or not hasattr(data, "map"):
        return data
    given = parts[1], parts[2] if len(parts) > 2 else None
    leaves = tf.nest.flatten(given[0]) + ([] if given[1] is None else tf.nest.flatten(given[1]))
    if not leaves or not all(isinstance(leaf, tf.TensorSpec) for leaf in leaves):
        raise ValueError(
            "Labels and weights of a tf.data.Dataset must be dense tensors by task. Received: "
            f"y={given[0]}, sample_weight={given[1]}"
        )
    names = [task.name for task in tasks]
    weighted = given[1] is not None or any(task.nulls == "mask" for task in tasks)

    def on_host(*values: np.ndarray) -> list[np.ndarray]:
        number = len(tf.nest.flatten(given[0]))
        y = tf.nest.pack_sequence_as(given[0], values[:number])
        weight = None if given[1] is None else tf.nest.pack_sequence_as(given[1], values[number:])
        checked = targets(y, weight)
        weights = checked.weights()
        return [checked.y[n] for n in names] + [weights[n] for n in names if weighted]

    def checked(x: Any, y: Any, weight: Any = None) -> tuple:
        flat = tf.nest.flatten(y) + ([] if weight is None else tf.nest.flatten(weight))
        kinds = [tf.float32] * (len(names) * (2 if weighted else 1))
        found = tf.numpy_function(on_host, flat, kinds)
        for tensor in found:
            tensor.set_shape([leaves[0].shape[0] if leaves[0].shape.rank else None])
        labels, weights = dict(zip(names, found)), dict(zip(names, found[len(names) :]))
        return (x, labels, weights) if weighted else (x, labels)

    return data.map(checked)
