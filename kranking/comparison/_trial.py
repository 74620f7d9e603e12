"""One training of one variant with one seed, and the file that keeps it."""

import json
import math
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kranking.budget import analytic_cost
from kranking.comparison._log import LogFiles, Protocol
from kranking.comparison._variant import Variant
from kranking.data import read_parquet
from kranking.training import RankingEvaluation


def trained(
    variant: Variant, seed: int, log: LogFiles, protocol: Protocol, out: Path, verbose: Any
) -> dict[str, Any]:
    """Trains, or reads what an earlier run has left; a failure is an answer as well."""
    path = out / "trials" / f"{variant.name}-seed{seed}.json"
    if path.exists():
        return json.loads(path.read_text("utf-8"))
    path.parent.mkdir(parents=True, exist_ok=True)
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    row: dict[str, Any] = {
        "variant": variant.name,
        "seed": seed,
        "backend": keras.backend.backend(),
    }
    try:
        row |= _train(variant, seed, log, protocol, path, verbose)
    except (KeyboardInterrupt, SystemExit):
        raise
    except Exception as error:  # whatever a user's variant raises: the others shall finish
        row |= {"failed": f"{type(error).__name__}: {str(error)[:500]}"}
    _write(path, row)
    return row


def sessions_of(row: dict[str, Any], out: Path) -> np.ndarray:
    """Gives the main metric of each test session of a trial."""
    with np.load(out / "trials" / f"{row['variant']}-seed{row['seed']}.npz") as file:
        return file["values"]


def _train(variant, seed, log, protocol, path, verbose) -> dict[str, Any]:
    model = variant.make()
    model.compile(protocol.optimizer(), weighted_metrics=None)
    read: dict[str, Any] = {"model": model, "batch_size": protocol.batch_size}
    rows = read_parquet(log.train, shuffle=True, seed=seed, **read)
    names = ["auc", "ne"]
    valid = RankingEvaluation(read_parquet(log.valid, **read), metrics=names)
    best = keras.callbacks.EarlyStopping(
        f"val_{log.main_task}_auc", mode="max", patience=0, restore_best_weights=True
    )
    watch = _Watch()
    history = model.fit(
        rows, epochs=protocol.epochs, callbacks=[watch, valid, best], verbose=verbose
    ).history
    test = RankingEvaluation(read_parquet(log.test, **read), log.session, names, prefix="")
    figures = test.evaluate(model)
    label, score, weight = test.collect(model)[log.main_task]
    kept = weight != 0
    _, values = protocol.hit.per_session(label[kept], score[kept], test.session[kept])
    _save_values(path.with_suffix(".npz"), values)
    hit = protocol.hit(label[kept], score[kept], test.session[kept])
    cost = analytic_cost(
        model, protocol.batch_size, protocol.optimizer(), hyperparameters=variant.hyperparameters
    )
    return {
        "hit": _plain(hit),
        "figures": {name: _plain(value) for name, value in figures.items()},
        "history": {name: [_plain(v) for v in values] for name, values in history.items()},
        "positives": int(np.sum(label[kept] > 0)),
        "samples_per_second": watch.rows_per_second(protocol.batch_size),
        "cost": cost.to_json(),
    }


class _Watch(keras.callbacks.Callback):
    """Times steps and stops at the first loss that is not a number."""

    def __init__(self):
        super().__init__()
        self.step, self.loss = 0, 0.0
        self.seconds = 0.0
        self.timed = 0

    def rows_per_second(self, batch_size: int) -> float:
        """Rate over all steps but the first, which compiles."""
        return self.timed * batch_size / self.seconds if self.seconds else float("nan")

    def on_train_batch_begin(self, batch, logs=None):
        self.start = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        self.loss = float((logs or {}).get("loss", 0.0))  # waits for the step
        self.step += 1
        if self.step > 1:
            self.seconds += time.perf_counter() - self.start
            self.timed += 1
        if not math.isfinite(self.loss):
            raise FloatingPointError(f"the loss became {self.loss} at step {self.step}")


def _plain(value: Any) -> float | None:
    value = float(value)
    return value if math.isfinite(value) else None  # JSON has no NaN: undefined is null


def _save_values(path: Path, values: np.ndarray) -> None:
    temporary = path.with_name(path.stem + ".tmp.npz")
    np.savez_compressed(temporary, values=values.astype("float32"))
    temporary.replace(path)


def _write(path: Path, row: dict[str, Any]) -> None:
    temporary = path.with_suffix(".json.tmp")
    temporary.write_text(json.dumps(row), "utf-8")
    temporary.replace(path)
