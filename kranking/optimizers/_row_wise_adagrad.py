"""Adagrad with one accumulator per row of a table."""

import keras
from keras import ops

from kranking._core import serializable
from kranking.ops import is_embedding_table
from kranking.optimizers._table_rows import TableRows


@serializable
class RowWiseAdagrad(TableRows, keras.optimizers.Adagrad):
    """Adagrad that keeps one number per row of an embedding table.

    For a row with gradient g of width d:

        a ← a + ‖g‖² / d,  w ← w − η g / √(a + ε)

    The state of a table is 1/d of its size, where Adam's is twice its size. Rows without gradient do not
    change, and only rows of the batch are read. All other variables are updated by Adagrad.

    Args:
        learning_rate: Rate η, or a schedule of it.
        initial_accumulator_value: First value of a.
        epsilon: Summand ε.
        **kwargs: Keyword arguments of `keras.optimizers.Optimizer`, such as `clipnorm`.

    >>> kr.optimizers.RowWiseAdagrad(0.05).epsilon
    1e-07

    Reference: [Mudigere et al., 2022, section 4.1](https://arxiv.org/abs/2104.05158)
    """

    def __init__(
        self,
        learning_rate=0.001,
        initial_accumulator_value=0.1,
        epsilon=1e-7,
        name="row_wise_adagrad",
        **kwargs,
    ):
        super().__init__(learning_rate, initial_accumulator_value, epsilon, name=name, **kwargs)  # pyright: ignore

    def add_variable_from_reference(self, reference_variable, name=None, initializer="zeros"):
        if name != "accumulator" or not is_embedding_table(reference_variable):
            return super().add_variable_from_reference(reference_variable, name, initializer)
        return self.add_variable(
            (reference_variable.shape[0], 1),
            initializer,
            reference_variable.dtype,
            name=f"{reference_variable.path.replace('/', '_')}_accumulator",
        )

    def dense_step(self, gradient, variable, learning_rate):
        """Updates a variable that is no table."""
        keras.optimizers.Adagrad.update_step(self, gradient, variable, learning_rate)

    def table_slots(self, index):
        return [self._accumulators[index]]

    def table_step(self, gradient, slots, learning_rate):
        accumulator = slots[0] + ops.mean(ops.square(gradient), axis=-1, keepdims=True)
        return learning_rate * gradient / ops.sqrt(accumulator + self.epsilon), [accumulator]
