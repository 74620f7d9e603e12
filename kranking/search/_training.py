"""Training of a configuration and its validation metrics."""

import copy
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

import keras
import numpy as np

from kranking._core import check_positive_int
from kranking._identity import fingerprint
from kranking.data import LogFiles, read
from kranking.metrics import HitAtK
from kranking.models import RankingModel
from kranking.search._objective import Objective
from kranking.training import RankingEvaluation, RunRecord

# Callbacks that write files and do not change a training.
_WRITERS = (keras.callbacks.TensorBoard, keras.callbacks.CSVLogger, RunRecord)


@dataclass(frozen=True)
class Training:
    """Training settings shared by all configurations of a search.

    Args:
        epochs: Maximum number of epochs. Training ends after the first epoch that does not improve the
            objective on the validation rows, unless a `keras.callbacks.EarlyStopping` in `callbacks` states
            another patience. The epoch with the best objective is restored.
        executions: Number of trainings per configuration with different seeds; the metric is their mean.
        hit: The HIT@k metric to report.
        callbacks: Keras callbacks, copied for each training. A `keras.callbacks.TensorBoard` (TensorFlow
            only) gets a folder per training and the HParams of the trial.
        strategy: A `tf.distribute.Strategy` to train under. On JAX, call
            `keras.distribution.set_distribution` before the search instead. Both drop a last, smaller
            batch.
        verbose: Verbosity of `fit`.

    Raises:
        ValueError: If an argument is not supported on the current backend.

    >>> Training(epochs=2).executions
    1
    """

    epochs: int = 1
    executions: int = 1
    hit: HitAtK = field(default_factory=HitAtK)
    callbacks: Sequence[keras.callbacks.Callback] = ()
    strategy: Any = None
    verbose: Any = "auto"

    def __post_init__(self):
        check_positive_int("epochs", self.epochs)
        check_positive_int("executions", self.executions)
        if self.strategy is not None and not _distributes(self.strategy):
            raise ValueError(
                "`strategy` must be a tf.distribute.Strategy on the TensorFlow backend; on JAX, call "
                f"keras.distribution.set_distribution instead. Received: strategy={self.strategy!r}, "
                f"backend={keras.backend.backend()!r}"
            )
        if any(isinstance(callback, keras.callbacks.TensorBoard) for callback in self.callbacks):
            _check_tensorboard()

    def to_json(self) -> dict[str, Any]:
        """Returns the settings that affect the results as a JSON-serializable dict."""
        return {
            "epochs": self.epochs,
            "executions": self.executions,
            "hit": {"k": self.hit.k, "reduce": self.hit.reduce, "min_items": self.hit.min_items},
            "callbacks": [
                fingerprint(callback, mutable=False)
                for callback in self.callbacks
                if not isinstance(callback, _WRITERS)
            ],
            "drop_remainder": self.drops_remainder,
        }

    @property
    def drops_remainder(self) -> bool:
        """Whether a last, smaller batch is dropped, since replicas require batches of equal size."""
        return self.strategy is not None or keras.distribution.distribution() is not None


def _distributes(strategy: Any) -> bool:
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    return isinstance(strategy, tf.distribute.Strategy)


def _check_tensorboard() -> None:
    """Raises `ValueError` if the TensorBoard callback would fail in every trial."""
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            "A TensorBoard callback requires KERAS_BACKEND=tensorflow, for the HParams of KerasTuner; the "
            "report of the search has the same figures. "
            f"Received: backend={keras.backend.backend()!r}"
        )
    if find_spec("tensorboard") is None:
        raise ValueError(
            "A TensorBoard callback requires the package tensorboard: pip install tensorboard. "
            "Received: a TensorBoard callback without this package"
        )


def fit_best(
    model: RankingModel,
    log: LogFiles,
    training: Training,
    objective: Objective,
    *,
    batch_size: int,
    seed: int,
    epochs: tuple[int, int] | None = None,
    callbacks: Sequence[keras.callbacks.Callback] | None = None,
) -> dict[str, float]:
    """Trains a model, restores its best weights, and returns the metrics of its best epoch.

    Args:
        model: A compiled model.
        log: The log to train on.
        training: Training settings.
        objective: The objective that selects the best epoch.
        batch_size: Number of rows per step.
        seed: Seed of the order of rows.
        epochs: First and last epoch, to continue a training; it then has no early stopping.
        callbacks: Callbacks, instead of copies of those in `training` without TensorBoard.
    """
    start = time.perf_counter()
    common: dict[str, Any] = {"model": model, "batch_size": batch_size}
    whole = {"shuffle": True, "seed": seed, "drop_remainder": training.drops_remainder}
    rows = read(log.train, **whole, **common)
    metrics = ["auc", "ne", "logloss", training.hit]
    valid = RankingEvaluation(read(log.valid, **common), log.session, metrics)
    if callbacks is None:
        kept = [c for c in training.callbacks if not isinstance(c, keras.callbacks.TensorBoard)]
        callbacks = copy.deepcopy(kept)
    ends = [keras.callbacks.TerminateOnNaN()]
    if epochs is None:
        own = any(isinstance(callback, keras.callbacks.EarlyStopping) for callback in callbacks)
        options: dict[str, Any] = {"mode": objective.direction, "restore_best_weights": True}
        patience = sys.maxsize if own else 0  # then this only restores the best epoch
        ends.append(keras.callbacks.EarlyStopping(objective.name, patience=patience, **options))
    first, last = epochs or (0, training.epochs)
    history = model.fit(
        rows,
        initial_epoch=first,
        epochs=last,
        callbacks=[valid, *callbacks, *ends],
        verbose=training.verbose,
    ).history
    values = np.array(history[objective.name], float)
    if not np.isfinite(values).any():
        raise FloatingPointError(
            f"{objective.name} must be finite after at least one epoch; it is not if the training "
            f"diverges, or if the validation rows have one class only. Received: {values.tolist()}"
        )
    best = int(np.nanargmax(values if objective.direction == "max" else -values))
    figures = {n: float(v[best]) for n, v in history.items() if n.startswith("val_")}
    return figures | {"seconds": time.perf_counter() - start}
