"""Conversion of a reader to a `tf.data.Dataset`."""

from typing import Any


def tf_dataset(reader: Any) -> Any:
    """Returns a prefetching `tf.data.Dataset` of a reader's batches, with known cardinality."""
    import tensorflow as tf

    floats = tf.TensorSpec((None,), tf.float32)
    x = {
        name: tf.TensorSpec((None, *spec.shape), spec.dtype) for name, spec in reader.inputs.items()
    }
    tasks = dict.fromkeys(reader.tasks, floats)
    signature = (x, tasks, dict(tasks)) if tasks else (x,)
    dataset = tf.data.Dataset.from_generator(reader.epoch_batches, output_signature=signature)
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(len(reader)))
    return dataset.prefetch(tf.data.AUTOTUNE)
