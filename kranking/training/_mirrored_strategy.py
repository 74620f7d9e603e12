"""Training on all GPUs of one machine with `tf.distribute`."""

from typing import Any

import keras

from kranking._core import check_positive_int


def mirrored_strategy(num_logical_cpus: int | None = None) -> Any:
    """Returns a `tf.distribute.MirroredStrategy` over all GPUs of this machine.

    Create and compile the model inside `strategy.scope()`; `fit` then splits each global batch among
    the replicas, and weighs each replica by its rows, so that a short last batch trains as on one device.
    `jit_compile=True`, `steps_per_execution > 1` and gradient accumulation are not
    supported with it, and `RankingModel.compile` raises for them. For several machines, Keras
    recommends JAX.

    Args:
        num_logical_cpus: Number of logical devices to split the CPU into, to try the strategy without
            GPUs. Must be set before TensorFlow runs anything in this process.

    Raises:
        RuntimeError: If the backend is not TensorFlow, or `num_logical_cpus` is set too late.
    """
    check_positive_int("num_logical_cpus", num_logical_cpus, optional=True)
    if keras.backend.backend() != "tensorflow":
        raise RuntimeError(
            "`mirrored_strategy` requires the TensorFlow backend. Set KERAS_BACKEND=tensorflow before "
            "importing Keras, or use keras.distribution on JAX. "
            f"Received: backend={keras.backend.backend()!r}"
        )
    import tensorflow as tf

    if num_logical_cpus is None:
        return tf.distribute.MirroredStrategy()
    split = [tf.config.LogicalDeviceConfiguration() for _ in range(num_logical_cpus)]
    try:
        tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], split)
    except RuntimeError as error:
        raise RuntimeError(
            "`num_logical_cpus` must be set before TensorFlow runs anything in this process. "
            f"Received: num_logical_cpus={num_logical_cpus}. Error of TensorFlow: {error}"
        ) from error
    return tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(num_logical_cpus)])
