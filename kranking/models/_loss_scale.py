"""Keras's loss scaling, made to see an overflow in every looked-up row and on every replica."""

from typing import Any

import keras


def watch_every_row(optimizer: Any) -> None:
    """Makes a `LossScaleOptimizer` on TensorFlow see each value of an embedding table's gradient.

    There, such a gradient is a list of rows with their indices, where a row stands as often as the batch
    looked it up. Keras 3.15 writes "finite or not" into the table's shape, so that of several values for
    one row the last one decides: an overflow that an ordinary value follows is applied, and the table is
    NaN from then on. Fields of unit length overflow first, since the slope of their norm is the inverse of
    a short vector's length, and no dense kernel lies behind them that would show it.

    Under tf.distribute it asks the first replica alone, before the replicas' gradients are summed.

    The method of this one object is replaced, not its class, so that what `save` writes stays Keras's own.
    """
    scales = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    if not scales or keras.backend.backend() != "tensorflow":
        return
    import tensorflow as tf

    def check_finite(grads):
        values = [g.values if isinstance(g, tf.IndexedSlices) else g for g in grads]
        finite = keras.optimizers.LossScaleOptimizer.check_finite(optimizer, values)
        replica = tf.distribute.get_replica_context()
        if replica is None or replica.num_replicas_in_sync == 1:
            return finite
        count = replica.all_reduce(tf.distribute.ReduceOp.SUM, tf.cast(finite, "int32"))
        return tf.equal(count, replica.num_replicas_in_sync)

    optimizer.check_finite = check_finite
