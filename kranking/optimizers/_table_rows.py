"""Reading and writing of the rows of a table that a gradient reaches."""

from typing import Any

import keras
from keras import ops

from kranking.ops import is_embedding_table
from kranking.ops.internal import current_lookup_gradients


class TableRows:
    """Mixin of Keras optimizers that update only the rows of an embedding table that a gradient reaches.

    Rows whose gradient is zero keep their weights and their slots. Where the gradient of a table has the
    rows of the batch alone, no other row is read; where it is as large as the table, results are equal.
    Variables that are not marked by `kranking.ops.embedding_table` are updated as the Keras class does.

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
        table = optimizer._trainable_variables[index]
        if not is_embedding_table(table):
            optimizer.dense_step(gradient, variable, learning_rate)
            return
        ids, gradient = _split(table, gradient)
        gradient = ops.cast(gradient, variable.dtype)
        slots = self.table_slots(index)
        old = [_read(slot, ids) for slot in slots]
        step, new = self.table_step(gradient, old, ops.cast(learning_rate, variable.dtype))
        reached = ops.any(ops.not_equal(gradient, 0), axis=-1, keepdims=True)
        for slot, before, after in zip(slots, old, new, strict=True):
            _write(slot, ids, ops.where(reached, after, before))
        _subtract(table, ids, ops.where(reached, step, ops.zeros_like(step)))


def _split(table: keras.Variable, gradient: Any) -> tuple[Any, Any]:
    """Returns the ids of the rows of a gradient, each once, and its values; `None` stands for all rows."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        if isinstance(gradient, tf.IndexedSlices):
            return gradient.indices, gradient.values
    elif backend == "torch" and gradient.is_sparse:
        gradient = gradient.coalesce()
        return gradient.indices()[0], gradient.values()
    elif backend == "jax" and (noted := current_lookup_gradients()) is not None:
        return noted.of(table, gradient)
    return None, gradient


def _read(slot: keras.Variable, ids: Any) -> Any:
    if ids is None:
        return ops.convert_to_tensor(slot)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.gather(slot.value, ids)  # of the variable: its value would be copied
    return slot.value[ids]


def _write(slot: keras.Variable, ids: Any, values: Any) -> None:
    if ids is None:
        slot.assign(values)
    elif keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        slot.value.scatter_update(tf.IndexedSlices(values, ids))
    elif keras.backend.backend() == "torch":
        slot.value.index_copy_(0, ids, values)
    else:
        slot.assign(slot.value.at[ids].set(values, mode="drop"))


def _subtract(table: keras.Variable, ids: Any, values: Any) -> None:
    if ids is None:
        table.assign_sub(values)
    elif keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        table.value.scatter_sub(tf.IndexedSlices(values, ids))
    elif keras.backend.backend() == "torch":
        table.value.index_add_(0, ids, values, alpha=-1)
    else:
        table.assign(table.value.at[ids].add(-values, mode="drop"))
