"""The batches of the last steps of a `fit`, for when one of them has to be looked at again."""

from typing import Any

import keras


class Recorder:
    """Keeps references to the batches that a model's training function takes.

    Keras shows callbacks no data. This stands before `model.train_function`, which `fit` calls anew for
    each step. It keeps nothing under tf.distribute, where a batch is spread over replicas, or with
    several steps per execution, where TensorFlow draws batches inside a compiled loop.

    Args:
        model: A model in `fit`.
        limit: Batches kept at most.
    """

    def __init__(self, model: Any, limit: int):
        self.model = model
        self.limit = limit
        self.batches: list[Any] = []
        self.paused = False
        self.attached = False

    def attach(self) -> None:
        """Puts itself before the training function."""
        function = self.model.train_function
        self._function = getattr(function, "without_recorder", function)
        self.attached = self.model.steps_per_execution == 1 and _num_replicas(self.model) == 1
        if not self.attached:
            return
        place = 1 if keras.backend.backend() == "jax" else 0  # JAX's first argument is the state

        def recording(*arguments):
            if self.paused:
                return self._function(*arguments)
            del self.batches[: 1 - self.limit]
            arguments = list(arguments)
            source = arguments[place]
            if isinstance(source, list):  # PyTorch's batches
                self.batches.extend(source)
            else:
                # Drawn here, so that the end of the data reaches `fit` as the StopIteration it expects.
                self.batches.append(next(source))
                arguments[place] = iter(self.batches[-1:])
            return self._function(*arguments)

        # Another guard, or this one in a later `fit`, takes off what an interrupted one left.
        recording.without_recorder = self._function
        self.model.train_function = recording

    def detach(self) -> None:
        """Leaves the training function as it was."""
        if self.attached:
            self.model.train_function = self._function
        self.attached = False
        self.batches = []


def _num_replicas(model: Any) -> int:
    strategy = getattr(model, "distribute_strategy", None)
    return 1 if strategy is None else strategy.num_replicas_in_sync
