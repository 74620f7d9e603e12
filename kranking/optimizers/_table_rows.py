"""Reading and writing of the rows of a table that a gradient reaches."""

from typing import Any

import keras
from keras import ops

from kranking.ops import is_embedding_table


class TableRows:
    """Mixin of Keras optimizers that update only the rows of an embedding table that a gradient reaches.

    Rows whose gradient is zero keep their weights and their slots. On TensorFlow, the gradient of a table
    holds these rows alone (`tf.IndexedSlices`, each row once) and no other is read. On JAX and PyTorch it
    is as large as the table. Results are equal. Variables that are not marked by
    `kranking.ops.embedding_table` are updated as the Keras class does.

    A subclass defines `table_slots` and `table_step`.
    """

    def table_slots(self, index: int) -> list[keras.Variable]:
        """Returns the slots of a table by its index among the variables, `(num_rows, …)` each."""
        raise NotImplementedError

    def table_step(self, gradient: Any, slots: list[Any], learning_rate: Any):
        """Computes what to subtract from some rows, and their new slots.

        Args:
            gradient: `(rows, width)`.
            slots: Rows of the slots, `(rows, …)` each.
            learning_rate: Scalar of the same dtype.

        Returns:
            A tuple of a `(rows, width)` tensor and a list of tensors shaped like `slots`.
        """
        raise NotImplementedError

    def update_step(self, gradient, variable, learning_rate):
        optimizer: Any = self
        index = optimizer._get_variable_index(variable)
        if not is_embedding_table(optimizer._trainable_variables[index]):
            optimizer.dense_step(gradient, variable, learning_rate)
            return
        ids, gradient = _split(gradient)
        gradient = ops.cast(gradient, variable.dtype)
        slots = self.table_slots(index)
        old = [_read(slot, ids) for slot in slots]
        step, new = self.table_step(gradient, old, ops.cast(learning_rate, variable.dtype))
        reached = ops.any(ops.not_equal(gradient, 0), axis=-1, keepdims=True)
        for slot, before, after in zip(slots, old, new, strict=True):
            optimizer.assign(slot, _join(ids, ops.where(reached, after, before)))
        step = ops.where(reached, step, ops.zeros_like(step))
        optimizer.assign_sub(variable, _join(ids, step))


def _split(gradient: Any) -> tuple[Any, Any]:
    """Returns the ids of the rows of a gradient, or `None` for all rows, and its values."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        if isinstance(gradient, tf.IndexedSlices):
            return gradient.indices, gradient.values
    return None, gradient


def _read(slot: Any, ids: Any) -> Any:
    if ids is None:
        return ops.convert_to_tensor(slot)
    import tensorflow as tf

    return tf.gather(slot.value, ids)  # of the variable: its value would be copied


def _join(ids: Any, values: Any) -> Any:
    if ids is None:
        return values
    import tensorflow as tf

    return tf.IndexedSlices(values, ids)
