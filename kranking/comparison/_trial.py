"""Training of a variant with one seed, and the file with its results."""

import json
import math
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kranking._files import replaced, write_json
from kranking._paths import make_folder
from kranking.budget import analytic_cost
from kranking.comparison._session_values import entropy_by_session
from kranking.comparison._variant import Variant
from kranking.data import LogFiles, read
from kranking.metrics import auc, normalized_entropy
from kranking.training import Protocol, RankingEvaluation
from kranking.training.internal import reset_session

SESSION_METRICS = ("hit", "ne")  # of the main task, per session


def run_trial(
    variant: Variant, seed: int, log: LogFiles, protocol: Protocol, out: Path, verbose: Any
) -> dict[str, Any]:
    """Trains a variant and returns its results or failure; reads the results of an earlier run."""
    path = out / "trials" / f"{variant.name}-seed{seed}.json"
    if path.exists():
        row = json.loads(path.read_text("utf-8"))
        if "failed" not in row:  # failures are retried, since the machine may have caused them
            return row
    make_folder(path.parent)
    reset_session(seed)
    row: dict[str, Any] = {
        "variant": variant.name,
        "seed": seed,
        "backend": keras.backend.backend(),
    }
    try:
        row |= _train(variant, seed, log, protocol, path, verbose)
    except (KeyboardInterrupt, SystemExit):
        raise
    except Exception as error:  # any error of a custom variant; the others continue
        row |= {"failed": f"{type(error).__name__}: {str(error)[:500]}"}
    write_json(path, row, indent=None, fsync=True)
    return row


def sessions_of(row: dict[str, Any], out: Path, metric: str) -> np.ndarray:
    """Returns the values of a session metric for the test sessions of a trial; their mean is the metric."""
    with np.load(out / "trials" / f"{row['variant']}-seed{row['seed']}.npz") as file:
        return file[metric]


def _train(variant, seed, log, protocol, path, verbose) -> dict[str, Any]:
    model = variant.make()
    if model.compiled:
        raise ValueError(
            "The callable of a variant must return a new, untrained model on each call. "
            "Received: a compiled model"
        )
    optimizer = protocol.optimizer()
    cost = analytic_cost(
        model, protocol.batch_size, optimizer, hyperparameters=variant.hyperparameters
    ).to_json()
    model.compile(optimizer, weighted_metrics=None)
    options: dict[str, Any] = {"model": model, "batch_size": protocol.batch_size}
    rows = read(log.train, shuffle=True, seed=seed, **options)
    valid = RankingEvaluation(read(log.valid, **options), metrics=["auc", "ne"])
    best = _BestEpoch(f"val_{log.main_task}_auc", mode="max", patience=0, restore_best_weights=True)
    watch = _Watch(rows.num_rows, protocol.batch_size)
    history = model.fit(
        rows, epochs=protocol.epochs, callbacks=[watch, valid, best], verbose=verbose
    ).history
    return {
        **_tested(model, log, protocol, path, options),
        "history": {name: [_plain(v) for v in values] for name, values in history.items()},
        "samples_per_second": _plain(watch.rate),
        "cost": cost,
    }


def _tested(model, log, protocol, path, options) -> dict[str, Any]:
    test = RankingEvaluation(read(log.test, **options), log.session, ["hit@3"])
    found = test.collect(model)
    broken = [task for task, (_, score, _) in found.items() if not np.isfinite(score).all()]
    if broken:
        raise FloatingPointError(
            f"The scores of the test rows are not finite after training, for tasks {broken}"
        )
    figures = {}
    for task, rows in found.items():
        figures |= {
            f"{task}_auc": auc(*rows),
            f"{task}_ne": normalized_entropy(*rows, from_logits=True),
        }
    label, score, weight = found[log.main_task]
    kept = weight != 0
    ranked = label[kept], score[kept], test.session[kept]
    sessions = np.unique(test.session[kept], return_inverse=True)[1]
    _save_values(
        path.with_suffix(".npz"),
        hit=protocol.hit.per_session(*ranked)[1],
        ne=entropy_by_session(label[kept], score[kept], weight[kept], sessions),
    )
    return {
        "hit": _plain(protocol.hit(*ranked)),
        "figures": {name: _plain(value) for name, value in figures.items()},
        "positives": int(np.sum(label[kept] > 0)),
    }


class _Watch(keras.callbacks.Callback):
    """Times epochs after their first step, and raises `FloatingPointError` for a non-finite loss."""

    def __init__(self, num_rows: int, batch_size: int):
        super().__init__()
        self.num_rows, self.batch_size = num_rows, batch_size
        self.step, self.seconds, self.rows = 0, 0.0, 0

    @property
    def rate(self) -> float:
        """Rows per second including reading, without the first step of each epoch."""
        return self.rows / self.seconds if self.seconds else float("nan")

    def on_train_batch_end(self, batch, logs=None):
        loss = float((logs or {}).get("loss", 0.0))  # synchronizes with the device
        self.step += 1
        if not math.isfinite(loss):
            raise FloatingPointError(f"The loss is {loss} at step {self.step}")
        now = time.perf_counter()
        if batch == 0:
            self.start = now
        elif (batch + 1) * self.batch_size >= self.num_rows:
            self.seconds += now - self.start
            self.rows += self.num_rows - self.batch_size


class _BestEpoch(keras.callbacks.EarlyStopping):
    """Restores the best epoch, and raises `ValueError` if several cannot be told apart."""

    def on_epoch_end(self, epoch, logs=None):
        value = (logs or {}).get(self.monitor, math.nan)
        if not math.isfinite(value) and self.params["epochs"] > 1:
            raise ValueError(
                f"{self.monitor} must be finite to select the best of {self.params['epochs']} epochs. "
                f"Received: {value} after epoch {epoch + 1}; the validation rows need positives and "
                "negatives of this task"
            )
        super().on_epoch_end(epoch, logs)


def _plain(value: Any) -> float | None:
    value = float(value)
    return value if math.isfinite(value) else None  # JSON has no NaN


def _save_values(path: Path, **values: np.ndarray) -> None:
    arrays: Any = {name: array.astype("float32") for name, array in values.items()}
    with replaced(path, fsync=True) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)
