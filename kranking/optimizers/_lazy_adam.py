"""Adam that updates only the rows of tables that a gradient reaches."""

import keras
from keras import ops

from kranking._core import serializable
from kranking.optimizers._table_rows import TableRows


@serializable
class LazyAdam(TableRows, keras.optimizers.Adam):
    """Adam whose step on an embedding table costs what the rows of the batch cost.

    For a row with gradient g ≠ 0 in step t, as in Adam:

        m ← β₁ m + (1 − β₁) g,  v ← β₂ v + (1 − β₂) g²,  w ← w − η √(1 − β₂ᵗ) / (1 − β₁ᵗ) · m / (√v + ε)

    Other rows of the table keep w, m and v, where Adam lets m and v decay and moves w on along m. Rare ids
    thus learn from larger moments. All other variables are updated by Adam. `amsgrad` is not available.

    A regularizer of a table gives every row a gradient, so that every row is updated. `weight_decay` and
    `use_ema` read whole tables, as in Keras.

    Args:
        learning_rate: Rate η, or a schedule of it.
        beta_1: Decay β₁ of the first moment.
        beta_2: Decay β₂ of the second moment.
        epsilon: Summand ε of the denominator.
        **kwargs: Keyword arguments of `keras.optimizers.Optimizer`, such as `clipnorm`.

    Raises:
        ValueError: If `amsgrad` is given.

    >>> kr.optimizers.LazyAdam(1e-3, beta_2=0.99).beta_2
    0.99

    Reference: [Kingma and Ba, 2015](https://arxiv.org/abs/1412.6980), of the update
    """

    def __init__(
        self,
        learning_rate=0.001,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-7,
        name="lazy_adam",
        **kwargs,
    ):
        if kwargs.pop("amsgrad", False):
            raise ValueError(
                "`LazyAdam` has no `amsgrad`. Received: amsgrad=True. Use keras.optimizers.Adam for it."
            )
        super().__init__(learning_rate, beta_1, beta_2, epsilon, name=name, **kwargs)  # pyright: ignore

    def dense_step(self, gradient, variable, learning_rate):
        """Updates a variable that is no table."""
        keras.optimizers.Adam.update_step(self, gradient, variable, learning_rate)

    def table_slots(self, index):
        return [self._momentums[index], self._velocities[index]]

    def table_step(self, gradient, slots, learning_rate):
        dtype = gradient.dtype
        step = ops.cast(self.iterations + 1, dtype)
        left_1 = 1 - ops.power(ops.cast(self.beta_1, dtype), step)
        left_2 = 1 - ops.power(ops.cast(self.beta_2, dtype), step)
        momentum = slots[0] + (1 - self.beta_1) * (gradient - slots[0])
        velocity = slots[1] + (1 - self.beta_2) * (ops.square(gradient) - slots[1])
        rate = learning_rate * ops.sqrt(left_2) / left_1
        return rate * momentum / (ops.sqrt(velocity) + self.epsilon), [momentum, velocity]
