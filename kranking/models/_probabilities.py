"""A ranking model whose outputs are probabilities, for Keras's export."""

from typing import Any

import keras


class Probabilities(keras.Model):
    """The probabilities of a built model, a dict by task name.

    Args:
        model: The `RankingModel`, whose outputs are logits.
    """

    def __init__(self, model: Any):
        super().__init__(name=model.name)
        self.model = model
        self.built = True

    def call(self, inputs, training=None):
        return self.model.probabilities(self.model(inputs, training=training))
