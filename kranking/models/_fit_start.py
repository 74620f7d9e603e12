"""The start of `fit`: a resumed training continues where an uninterrupted one would be."""

from typing import Any

import keras

from kranking.models._callbacks import checked_callbacks, resolve_directions


class FitStart(keras.callbacks.Callback):
    """Moves a reader to the first epoch of `fit`, and undoes the random draws of Keras before it.

    Keras tells a data set no epoch, and on PyTorch the first `fit` of a model draws a random number when
    it builds its metrics, which a resumed training would draw once more.

    Args:
        x: The data passed to `fit`; moved if it has an `epoch`.
        steps_per_epoch: The argument of `fit`.
    """

    def __init__(self, x: Any, steps_per_epoch: int | None):
        super().__init__()
        self.reader = x if hasattr(x, "epoch") and hasattr(x, "shuffled") else None
        # Before Keras looks at two batches, which can be all of an epoch.
        self.epoch = 0 if self.reader is None else self.reader.epoch
        self.steps = steps_per_epoch
        self._random = _random_state()
        self._begun = False

    def on_train_begin(self, logs=None):
        if self._random is not None:
            import torch

            torch.set_rng_state(self._random[0])
            torch.cuda.set_rng_state_all(self._random[1])

    def on_epoch_begin(self, epoch, logs=None):
        if self.reader is not None and not self._begun:
            # A reader that was read before, or moved by hand, continues with its own next epoch.
            self.reader.epoch = max(self.epoch, self._passes(epoch))
        self._begun = True

    def _passes(self, epoch: int) -> int:
        """Returns the number of complete passes over the reader before an epoch."""
        per_pass = -(-len(self.reader) // self.steps) if self.steps else 1  # pyright: ignore
        if epoch % per_pass:
            raise ValueError(
                f"`initial_epoch` must be a multiple of {per_pass}, since a reader of {len(self.reader)} "  # pyright: ignore
                f"batches begins again after {per_pass} epochs of steps_per_epoch={self.steps}. Received: "
                f"initial_epoch={epoch}"
            )
        return epoch // per_pass


def with_fit_start(x: Any, given: dict[str, Any], model: Any) -> dict[str, Any]:
    """Returns the arguments of `fit` with a `FitStart` before the other callbacks."""
    start, callbacks = FitStart(x, given.get("steps_per_epoch")), given.get("callbacks")
    resolve_directions(callbacks, model.log_directions, [task.name for task in model.tasks])
    if isinstance(callbacks, keras.callbacks.CallbackList):
        start.set_model(model)
        others = [one for one in callbacks.callbacks if not isinstance(one, FitStart)]
        callbacks.callbacks[:] = [start, *others]
        return given
    return {**given, "callbacks": [start, *checked_callbacks(callbacks)]}


def _random_state() -> Any:
    if keras.backend.backend() != "torch":
        return None
    import torch

    return torch.get_rng_state(), torch.cuda.get_rng_state_all()
