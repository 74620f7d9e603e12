"""Recording of the last batches of `fit`, for a replay."""

from typing import Any

import keras


class Recorder:
    """Keeps references to the last batches that are passed to the training function of a model.

    Keras does not pass data to callbacks, so this wraps `model.train_function`, which `fit` calls for
    each step. It records nothing under `tf.distribute`, where a batch is distributed over replicas, or
    with several steps per execution, where TensorFlow draws batches inside a compiled loop.

    Args:
        model: A model in `fit`.
        limit: Maximum number of batches to keep.
    """

    def __init__(self, model: Any, limit: int):
        self.model = model
        self.limit = limit
        self.batches: list[Any] = []
        self.paused = False
        self.attached = False

    def attach(self) -> None:
        """Wraps the training function."""
        function = self.model.train_function
        self._function = getattr(function, "without_recorder", function)
        self.attached = self.model.steps_per_execution == 1 and _num_replicas(self.model) == 1
        if not self.attached:
            return
        place = 1 if keras.backend.backend() == "jax" else 0  # after the state, on JAX

        def recording(*arguments):
            if self.paused:
                return self._function(*arguments)
            del self.batches[: 1 - self.limit]
            arguments = list(arguments)
            source = arguments[place]
            if isinstance(source, list):  # batches of PyTorch
                self.batches.extend(source)
            else:
                # Drawn here, so that `fit` receives the StopIteration it expects at the end.
                self.batches.append(next(source))
                arguments[place] = iter(self.batches[-1:])
            return self._function(*arguments)

        # Lets another guard, or this one in a later `fit`, remove the wrapper of an interrupted `fit`.
        recording.without_recorder = self._function
        self.model.train_function = recording

    def detach(self) -> None:
        """Restores the original training function."""
        if self.attached:
            self.model.train_function = self._function
        self.attached = False
        self.batches = []


def _num_replicas(model: Any) -> int:
    strategy = getattr(model, "distribute_strategy", None)
    return 1 if strategy is None else strategy.num_replicas_in_sync
