"""A ranking model whose outputs are probabilities, for Keras's export."""

from typing import Any

import keras

from kranking._paths import as_path, make_folder, path_errors


class Probabilities(keras.Model):
    """The probabilities of a built model, a dict by task name.

    Args:
        model: The `RankingModel`, whose outputs are logits.
    """

    def __init__(self, model: Any):
        super().__init__(name=model.name)
        self.model = model
        self.built = True

    def export(self, filepath, *args, **kwargs):
        make_folder(as_path("filepath", filepath).parent)
        with path_errors(filepath):
            return super().export(filepath, *args, **kwargs)

    def call(self, inputs, training=None):
        return self.model.probabilities(self.model(inputs, training=training))
