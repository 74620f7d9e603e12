"""Training steps in which gradients of tables are by row."""

from typing import Any

import keras

from kranking.ops.internal import current_lookup_gradients, lookup_gradients
from kranking.optimizers.internal import row_tables


class RowTraining:
    """Mixin of Keras models: with an optimizer of table rows, a step costs what the rows of a batch cost.

    On TensorFlow nothing needs to be done.
    """

    def train_step(self, *args, **kwargs):
        model: Any = self
        # What torch.compile makes of a step has no sparse gradients.
        whole = not model.optimizer or (model.jit_compile and keras.backend.backend() == "torch")
        tables = [] if whole else row_tables(model.optimizer, model.trainable_variables)
        with lookup_gradients(tables):
            return super().train_step(*args, **kwargs)  # pyright: ignore

    def compute_loss_and_updates(self, trainable_variables, *args, **kwargs):
        """Computes what Keras differentiates on JAX."""
        model: Any = self
        gradients = current_lookup_gradients()
        if gradients is not None:
            trainable_variables = gradients.marked(model.trainable_variables, trainable_variables)
        return super().compute_loss_and_updates(trainable_variables, *args, **kwargs)  # pyright: ignore
