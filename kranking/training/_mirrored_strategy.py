"""Training on all GPUs of a machine with tf.distribute."""

from typing import Any

import keras

from kranking._core import check_positive_int


def mirrored_strategy(num_logical_cpus: int | None = None) -> Any:
    """Gives a `tf.distribute.MirroredStrategy` over all GPUs of this machine.

    Make and compile the model inside `strategy.scope()`; `fit` then splits each global batch between
    the replicas. `jit_compile=True`, `steps_per_execution > 1` and gradient accumulation do not work
    under it, and `RankingModel.compile` refuses them there. For more than one machine Keras says
    to use JAX.

    Args:
        num_logical_cpus: Splits the processor into so many devices, to try the strategy without
            GPUs. Has to come before TensorFlow has run anything in this process.

    Raises:
        RuntimeError: On another backend than TensorFlow, or if TensorFlow has already started.
    """
    check_positive_int("num_logical_cpus", num_logical_cpus, optional=True)
    if keras.backend.backend() != "tensorflow":
        raise RuntimeError(
            "MirroredStrategy belongs to TensorFlow. Set KERAS_BACKEND=tensorflow before Keras is "
            f"imported; on JAX use keras.distribution. Received: backend {keras.backend.backend()!r}"
        )
    import tensorflow as tf

    if num_logical_cpus is None:
        return tf.distribute.MirroredStrategy()
    split = [tf.config.LogicalDeviceConfiguration() for _ in range(num_logical_cpus)]
    try:
        tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], split)
    except RuntimeError as error:
        raise RuntimeError(
            "Logical processors have to be made before TensorFlow runs anything in this process. "
            f"Received: num_logical_cpus={num_logical_cpus}; TensorFlow says: {error}"
        ) from error
    return tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(num_logical_cpus)])
