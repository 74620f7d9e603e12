"""Warning about tasks that have a single class, before their metrics become NaN."""

import warnings
from collections.abc import Iterable, Mapping
from typing import Any

import keras


def warn_of_single_classes(counts: Mapping[str, Any], where: str) -> None:
    """Warns of tasks without a positive or without a negative label.

    Args:
        counts: Numbers of rows with a positive and with a negative label, by task.
        where: The data, for the message.
    """
    for task, (positive, negative) in counts.items():
        if (positive or negative) and not (positive and negative):
            warnings.warn(
                f"Task {task!r} has {positive:,} positive and {negative:,} negative labels in the observed "
                f"rows of the {where} data. Its AUC and normalized entropy are undefined (NaN).",
                stacklevel=4,
            )


class LabelsRead(keras.callbacks.Callback):
    """Warns after the first epoch of tasks of which readers read one class only.

    Args:
        readers: Pairs of a reader and the name of its data.
    """

    def __init__(self, readers: Iterable[tuple[Any, str]]):
        super().__init__()
        self._readers = tuple(readers)

    def on_epoch_end(self, epoch, logs=None):
        for reader, where in self._readers:
            # Keras may read first batches twice.
            counts = {t: n.clip(max=reader.num_rows) for t, n in reader.label_counts.items()}
            warn_of_single_classes(counts, where)
        self._readers = ()

    def on_test_end(self, logs=None):
        self.on_epoch_end(0)
