"""One training of one configuration, and what it is worth on the validation rows."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

import keras
import numpy as np

from kranking._core import check_positive_int
from kranking.data import LogFiles, read_parquet
from kranking.metrics import HitAtK
from kranking.models import RankingModel
from kranking.search._objective import Objective
from kranking.training import RankingEvaluation


@dataclass(frozen=True)
class Training:
    """How every configuration is trained: the same for all.

    Args:
        epochs: At most; the best on the validation rows is kept, the first worse one ends it.
        executions: Trainings of each configuration, with seeds of their own; their mean is its metric.
        hit: The form of HIT@k that is reported.
        callbacks: Keras callbacks, copied for each training. `keras.callbacks.TensorBoard`, for TensorFlow
            only, gets a folder for each and the trial's HParams.
        strategy: A `tf.distribute.Strategy` to train under. On JAX, `keras.distribution.set_distribution`
            before the search does it. Either leaves out a last, smaller batch.
        verbose: As Keras's `fit`.

    Raises: `ValueError` for what belongs to another backend.

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
                "`strategy` must be a tf.distribute.Strategy, on TensorFlow; on JAX call "
                f"keras.distribution.set_distribution instead. Received: strategy={self.strategy!r}"
                f" on backend {keras.backend.backend()!r}"
            )
        if any(isinstance(callback, keras.callbacks.TensorBoard) for callback in self.callbacks):
            _check_tensorboard()

    def to_json(self) -> dict[str, Any]:
        """Gives what makes results another training's."""
        hit = {"k": self.hit.k, "reduce": self.hit.reduce, "min_items": self.hit.min_items}
        return {"epochs": self.epochs, "executions": self.executions, "hit": hit}


def _distributes(strategy: Any) -> bool:
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    return isinstance(strategy, tf.distribute.Strategy)


def _check_tensorboard() -> None:
    """Raises here what would otherwise fail every trial."""
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            "A TensorBoard callback with KerasTuner's HParams needs KERAS_BACKEND=tensorflow; the report "
            f"of the search holds the same figures. Received: backend {keras.backend.backend()!r}"
        )
    if find_spec("tensorboard") is None:
        raise ValueError(
            "A TensorBoard callback needs the package tensorboard: pip install tensorboard. Received: "
            "a callback, and no such package"
        )


def reset_session(seed: int) -> None:
    """Forgets earlier models and seeds what draws; a `keras.distribution` that was set stays set."""
    distribution = keras.distribution.distribution()
    keras.backend.clear_session()
    if distribution is not None:  # the session that is cleared held it
        keras.distribution.set_distribution(distribution)
    keras.utils.set_random_seed(seed)


def fit_best(
    model: RankingModel,
    log: LogFiles,
    training: Training,
    objective: Objective,
    *,
    batch_size: int,
    seed: int,
    epochs: tuple[int, int] | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> dict[str, float]:
    """Trains a model, leaves it with its best weights, and gives the metrics of its best epoch.

    Args:
        model: Compiled.
        log: Its rows.
        training: How.
        objective: What "best" means.
        batch_size: Rows of a step.
        seed: Of the order of rows.
        epochs: First and last, of a training that goes on; it then ends early for no reason.
        callbacks: Instead of the training's.
    """
    start = time.perf_counter()
    read: dict[str, Any] = {"model": model, "batch_size": batch_size}
    # Replicas want batches of one size.
    whole = training.strategy is not None or keras.distribution.distribution() is not None
    rows = read_parquet(log.train, shuffle=True, seed=seed, drop_remainder=whole, **read)
    metrics = ["auc", "ne", "logloss", training.hit]
    valid = RankingEvaluation(read_parquet(log.valid, **read), log.session, metrics)
    ends = [keras.callbacks.TerminateOnNaN()]
    if epochs is None:
        ends.append(
            keras.callbacks.EarlyStopping(
                objective.name, mode=objective.direction, patience=0, restore_best_weights=True
            )
        )
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
            f"{objective.name} should be finite after an epoch. Received: {list(values)}"
        )
    best = int(np.nanargmax(values if objective.direction == "max" else -values))
    figures = {n: float(v[best]) for n, v in history.items() if n.startswith("val_")}
    return figures | {"seconds": time.perf_counter() - start}
