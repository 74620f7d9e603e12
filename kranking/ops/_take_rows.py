"""Reading rows of a table."""

import keras
from keras import ops


def take_rows(table, rows):
    """Returns the rows of a table: `y[..., :] = table[rows[...]]`.

    `keras.ops.take` counts negative ids from the end, which takes four operators where a graph is served.
    Here the ids have to be rows of the table: elsewhere backends differ in what they read.

    Args:
        table: Float tensor or variable, `(num_rows, width)`.
        rows: Integer tensor of any shape, each within 0 and `num_rows - 1`.

    Returns:
        A tensor of shape `(*rows.shape, width)`.

    >>> rows = kr.ops.take_rows(np.array([[1.0, 2.0], [3.0, 4.0]], "float32"), np.array([1, 0, 1]))
    >>> keras.ops.convert_to_numpy(rows)[:, 0].tolist()
    [3.0, 1.0, 3.0]
    """
    table, rows = ops.convert_to_tensor(table), ops.convert_to_tensor(rows)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        if rows.dtype not in (tf.int32, tf.int64):  # the only two that every kernel of it takes
            rows = tf.cast(rows, tf.int32 if rows.dtype.size < 4 else tf.int64)
        return tf.gather(table, rows)
    if keras.backend.backend() == "torch":
        import torch

        return torch.nn.functional.embedding(rows.long(), table)
    return ops.take(table, rows, axis=0)
