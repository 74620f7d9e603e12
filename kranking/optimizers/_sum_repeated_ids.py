"""An optimizer that receives the gradients of embedding tables summed per id and over replicas."""

from collections.abc import Iterable
from typing import Any

import keras

from kranking.optimizers._inner_optimizers import inner_optimizers
from kranking.optimizers._summed_slices import summed_slices


def sum_repeated_ids(optimizer: Any, jit_compile: bool = False) -> Any:
    """Makes a Keras optimizer sum the gradients of equal ids first, on TensorFlow; returns it.

    TensorFlow's gradient of an embedding table has one slice per lookup. Keras 3.15 scales, clips and
    squares slice by slice, so an id that occurs n times in a batch counts as n gradients: Σg² instead
    of (Σg)². On JAX and PyTorch, gradients are dense and nothing needs to be done. Under tf.distribute,
    Keras clips on each replica before it sums over replicas; here the sum comes first.

    `RankingModel.compile` calls this. Call it yourself for an optimizer of a custom training loop.

    The methods are replaced on this object, not on its class, so that `save` writes the Keras class.

    Args:
        optimizer: A Keras optimizer. Other objects are returned unchanged.
        jit_compile: Whether the training step is compiled by XLA, which needs static shapes.

    >>> optimizer = kr.optimizers.sum_repeated_ids(keras.optimizers.Adagrad(0.05))
    >>> optimizer.name
    'adagrad'
    """
    if keras.backend.backend() != "tensorflow" or not isinstance(
        optimizer, keras.optimizers.Optimizer
    ):
        return optimizer
    kind: Any = type(optimizer)

    inner = list(inner_optimizers(optimizer))
    scaled = any(each.loss_scale_factor is not None for each in (optimizer, *inner))

    def apply(grads, trainable_variables=None):
        variables = trainable_variables or optimizer._trainable_variables
        grads = [summed_slices(g, jit_compile) for g in _over_replicas(grads, variables)]
        if scaled:  # Keras divides with an operator that slices lack
            grads = [_dense(g) for g in grads]
        return kind.apply(optimizer, grads, trainable_variables)

    optimizer.apply = apply
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        optimizer.check_finite = lambda grads: kind.check_finite(optimizer, _values(grads))
    for each in inner:
        vars(each).pop("apply", None)  # it may have been compiled alone before: sum once
    for each in (optimizer, *inner):
        each._all_reduce_sum_gradients = list  # they are summed over replicas already
    return optimizer


def _over_replicas(grads: Iterable[Any], variables: Iterable[Any]) -> list[Any]:
    """Returns the gradients summed over the replicas of tf.distribute; `None` stays `None`."""
    import tensorflow as tf

    grads = list(grads)
    replica = tf.distribute.get_replica_context()
    if replica is None or replica.num_replicas_in_sync == 1:
        return grads
    # Some variables of Keras receive their new value as a gradient; Keras does not sum it either.
    summed = [
        i
        for i, (gradient, variable) in enumerate(zip(grads, variables, strict=True))
        if gradient is not None and not getattr(variable, "overwrite_with_gradient", False)
    ]
    total = replica.all_reduce(tf.distribute.ReduceOp.SUM, [grads[i] for i in summed])
    for i, gradient in zip(summed, total, strict=True):
        grads[i] = gradient
    return grads


def _dense(gradient: Any) -> Any:
    import tensorflow as tf

    return tf.convert_to_tensor(gradient) if isinstance(gradient, tf.IndexedSlices) else gradient


def _values(grads: Iterable[Any]) -> list[Any]:
    """Returns the values of slices for a check, without a flag for every row of a table."""
    import tensorflow as tf

    return [g.values if isinstance(g, tf.IndexedSlices) else g for g in grads]
