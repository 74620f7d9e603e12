"""Training settings shared by several models."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import keras

from kranking._core import check_positive_int
from kranking.metrics import HitAtK


@dataclass(frozen=True)
class Protocol:
    """Training settings, so that several models can be trained in the same way.

    Args:
        optimizer: Zero-argument callable that creates the optimizer of each training.
        batch_size: Number of rows per step.
        epochs: Maximum number of epochs. Training ends after the first epoch that does not improve the
            validation AUC of the main task, and the best epoch is restored.
        hit: The main metric.

    >>> Protocol(epochs=2).hit.name
    'hit@3'
    """

    optimizer: Callable[[], Any] = keras.optimizers.Adam
    batch_size: int = 4096
    epochs: int = 1
    hit: HitAtK = field(default_factory=HitAtK)

    def __post_init__(self):
        check_positive_int("batch_size", self.batch_size)
        check_positive_int("epochs", self.epochs)
        if isinstance(self.optimizer, keras.optimizers.Optimizer) or not callable(self.optimizer):
            raise ValueError(
                "`optimizer` must be a callable that returns a new optimizer for each training, such as "
                f"`lambda: keras.optimizers.Adam(1e-3)`. Received: optimizer={self.optimizer!r}"
            )

    def to_json(self) -> dict[str, Any]:
        """Returns the protocol as a JSON-serializable dict."""
        optimizer = self.optimizer()
        config = keras.saving.serialize_keras_object(optimizer)["config"]
        del config["name"]  # Keras numbers the instances
        return {
            "optimizer": {"class": type(optimizer).__name__, **config},
            "batch_size": self.batch_size,
            "epochs": self.epochs,
            "hit": {"k": self.hit.k, "reduce": self.hit.reduce, "min_items": self.hit.min_items},
        }
