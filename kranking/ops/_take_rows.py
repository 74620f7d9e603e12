"""Table lookup by row."""

import keras
from keras import ops

from kranking.ops._lookup_gradients import current_lookup_gradients, has_row_gradient


def take_rows(table, rows):
    """Returns rows of a table, `y[..., :] = table[rows[...]]`.

    `keras.ops.take` supports negative ids, which adds four operators to a served graph. Here ids
    must be valid rows; for other ids the result depends on the backend.

    Args:
        table: Float tensor or variable, `(num_rows, width)`.
        rows: Integer tensor of any shape with values in `[0, num_rows)`.

    Returns:
        A tensor of shape `(*rows.shape, width)`.

    >>> rows = kr.ops.take_rows(np.array([[1.0, 2.0], [3.0, 4.0]], "float32"), np.array([1, 0, 1]))
    >>> keras.ops.convert_to_numpy(rows)[:, 0].tolist()
    [3.0, 1.0, 3.0]
    """
    rows = ops.convert_to_tensor(rows)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        # Not the value of a variable but the variable: TensorFlow copies the value of one whose rows are
        # updated in place, all of it in each step.
        table = table.value if isinstance(table, keras.Variable) else ops.convert_to_tensor(table)
        if rows.dtype not in (tf.int32, tf.int64):  # the only types that all its kernels support
            rows = tf.cast(rows, tf.int32 if rows.dtype.size < 4 else tf.int64)
        return tf.gather(table, rows)
    by_row, value = has_row_gradient(table), ops.convert_to_tensor(table)
    if keras.backend.backend() == "torch":
        import torch

        return torch.nn.functional.embedding(rows.long(), value, sparse=by_row)
    if by_row:
        return current_lookup_gradients().take(table, value, rows)  # pyright: ignore
    return ops.take(value, rows, axis=0)
