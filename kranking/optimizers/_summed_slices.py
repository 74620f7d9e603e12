"""The gradient of an embedding table with each id once."""

from typing import Any

# Up to so many rows, a dense gradient costs no more than finding the distinct ids of a batch; with XLA,
# which has to sort them, up to a hundred times as many (ADR 21).
SMALL_TABLE = 10_000
SMALL_TABLE_OF_XLA = 1_000_000


def summed_slices(gradient: Any, static_shape: bool = False) -> Any:
    """Returns a gradient of TensorFlow in which no row of the variable occurs twice.

    TensorFlow's gradient of a lookup has one slice per looked-up id, `tf.IndexedSlices`, so an id that
    occurs n times in a batch occurs n times. Dense gradients and `None` are returned unchanged; slices
    of a table with few rows become dense.

    Args:
        gradient: A tensor, `tf.IndexedSlices` or `None`.
        static_shape: Whether the number of slices must not depend on their values, as XLA requires. The
            n − distinct slices that remain are zero and have the row after the last one as index, which
            XLA ignores.
    """
    import tensorflow as tf

    if not isinstance(gradient, tf.IndexedSlices):
        return gradient
    rows = gradient.shape[0]
    if rows is not None and rows <= (SMALL_TABLE_OF_XLA if static_shape else SMALL_TABLE):
        return tf.convert_to_tensor(gradient)
    return _by_sorting(gradient) if static_shape else _by_unique(gradient)


def _by_unique(gradient: Any) -> Any:
    import tensorflow as tf

    ids, places = tf.unique(gradient.indices)
    values = tf.math.unsorted_segment_sum(gradient.values, places, tf.shape(ids)[0])
    return tf.IndexedSlices(values, ids, gradient.dense_shape)


def _by_sorting(gradient: Any) -> Any:
    import tensorflow as tf

    order = tf.argsort(gradient.indices, stable=True)
    ids = tf.gather(gradient.indices, order)
    count = tf.shape(ids)[0]
    starts = tf.concat([tf.zeros_like(ids[:1]), tf.cast(ids[1:] != ids[:-1], ids.dtype)], axis=0)
    places = tf.cumsum(starts)
    values = tf.math.unsorted_segment_sum(tf.gather(gradient.values, order), places, count)
    absent = tf.fill([count], tf.cast(gradient.dense_shape[0], ids.dtype))
    distinct = tf.tensor_scatter_nd_update(absent, places[:, None], ids)
    return tf.IndexedSlices(values, distinct, gradient.dense_shape)
