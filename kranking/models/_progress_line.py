"""Progress of `fit` and `evaluate` in one readable line."""

from collections.abc import Mapping
from typing import Any

import keras

from kranking.models._call_arguments import call_arguments
from kranking.models._callbacks import checked_callbacks

_LOSSES = ("loss", "val_loss")


class ProgressLine(keras.callbacks.ProgbarLogger):
    """Keras's progress bar with the loss and one metric of each task instead of all metrics.

    That metric is the AUC, else the normalized entropy. All metrics remain in the history.
    """

    async_safe = True  # as Keras treats its own bar

    def on_train_batch_end(self, batch, logs=None):
        super().on_train_batch_end(batch, short(logs or {}))

    def on_test_batch_end(self, batch, logs=None):
        super().on_test_batch_end(batch, short(logs or {}))

    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, short(logs or {}))

    def on_test_end(self, logs=None):
        super().on_test_end(short(logs or {}))


def short(logs: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the loss, and the AUC or else the normalized entropy of each task; all logs without both."""
    for ending in ("_auc", "_ne"):
        if any(name.endswith(ending) for name in logs):
            return {k: v for k, v in logs.items() if k in _LOSSES or k.endswith(ending)}
    return dict(logs)


def with_progress_line(method: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
    """Returns the arguments of `fit` or `evaluate`, with a `ProgressLine` if `verbose` is "auto"."""
    given = call_arguments(method, *args, **kwargs)
    callbacks = given.get("callbacks")
    if given.get("verbose", "auto") != "auto" or isinstance(
        callbacks, keras.callbacks.CallbackList
    ):
        return given
    return {**given, "callbacks": [*checked_callbacks(callbacks), ProgressLine()]}
