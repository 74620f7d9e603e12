"""Loss scaling that detects overflow in every looked-up row and on every replica."""

from typing import Any

import keras


def watch_every_row(optimizer: Any) -> None:
    """Patches a `LossScaleOptimizer` to check all gradient values of embedding tables on TensorFlow.

    On TensorFlow, such a gradient is a list of rows with indices, in which a row occurs once per lookup.
    Keras 3.15 scatters the "is finite" flags to the shape of the table, so of several values for one row
    only the last one counts: an overflow followed by a finite value is applied, and the table is NaN from
    then on. Fields of unit length overflow first, since the gradient of the normalization is the inverse
    of the length of a short vector, and no dense kernel follows that would also overflow.

    Under tf.distribute, Keras checks only the first replica, before the gradients are summed.

    The method is replaced on this object, not on its class, so that `save` still writes the Keras class.

    Args:
        optimizer: The optimizer of a model. Other optimizers are left unchanged.
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
