"""What the recipes share: the one way in which each of them trains a model, and small helpers.

The protocol is a log's, not an architecture's: every model on a log gets the same optimizer, rows and
epochs, and keeps its best epoch on the validation rows. Test rows are read once, at the end.
"""

import argparse
import inspect
import time
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pyarrow.parquet as pq
from logs import Log

import kranking as kr


@dataclass
class Trained:
    """A trained model and what was measured of it."""

    model: Any
    history: dict[str, list[float]]
    seconds_per_epoch: float
    test: dict[str, float]
    bundle: Any = None
    reached: Any = None
    p50: float = float("nan")


def parser(doc: str | None, name: str) -> argparse.ArgumentParser:
    """Returns the arguments that every recipe has."""
    parser = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--smoke", action="store_true", help="few rows, one epoch: does it run?")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", help="folder of the log; see above for the default")
    parser.add_argument("--out", help=f"run folder; default: runs/{name}-TIME")
    return parser


def run_folder(args: argparse.Namespace, name: str) -> Path:
    """Builds the folder that keeps all that a run leaves."""
    out = Path(args.out or f"runs/{name}-{time.strftime('%Y%m%d-%H%M%S')}")
    out.mkdir(parents=True, exist_ok=True)
    return out


def build(name: str, features: list, log: Log, scale: float) -> kr.RankingModel:
    """Builds an architecture by name: its defaults, or where it has `scale`, published widths times that.

    A plain MLP has no published widths: it gets those of the Pinterest baseline's MLP.
    """
    make = kr.architectures.get(name).build
    sizes: dict[str, Any] = {}
    if name == "mlp":
        sizes = {"units": [max(8, round(units * scale)) for units in (1024, 512)]}
    elif "scale" in inspect.signature(make).parameters:
        sizes = {"scale": scale}
    return make(features, log.tasks, **sizes)


def train(
    name: str,
    features: list,
    log: Log,
    *,
    seed: int,
    scale: float,
    epochs: int | None = None,
    strategy: Any = None,
    verbose: str | int = "auto",
) -> Trained:
    """Trains under the log's protocol, keeps the best epoch on valid, and reports on test."""
    protocol = log.protocol
    keras.utils.set_random_seed(seed)
    with strategy.scope() if strategy else nullcontext():
        model = build(name, features, log, scale)
        entropy = {
            task.name: [kr.metrics.NormalizedEntropy(from_logits=True)] for task in log.tasks
        }
        model.compile(protocol.optimizer(), weighted_metrics=entropy)
    read = {"model": model, "batch_size": protocol.batch_size}
    whole = strategy is not None  # replicas want batches of one size
    rows = kr.data.read_parquet(log.train, shuffle=True, seed=seed, drop_remainder=whole, **read)
    metrics = ["auc", "ne", log.protocol.hit]
    valid = kr.data.read_parquet(log.valid, **read)
    seconds = EpochSeconds()
    best = keras.callbacks.EarlyStopping(
        f"val_{log.tasks[0].name}_auc", mode="max", patience=1, restore_best_weights=True
    )
    evaluation = kr.training.RankingEvaluation(valid, log.session, metrics)
    history = model.fit(
        rows,
        epochs=epochs or protocol.epochs,
        callbacks=[seconds, evaluation, best],
        verbose=verbose,
    )
    test = kr.data.read_parquet(log.test, **read)
    scores = kr.training.RankingEvaluation(test, log.session, metrics, prefix="").evaluate(model)
    return Trained(model, history.history, seconds.mean, scores)


class EpochSeconds(keras.callbacks.Callback):
    """Times epochs; standing first in the list, it leaves out what other callbacks do at their end."""

    def __init__(self):
        super().__init__()
        self.seconds: list[float] = []

    @property
    def mean(self) -> float:
        """Mean without the first epoch, which traces and compiles, if there is another."""
        return float(np.mean(self.seconds[1:] or self.seconds))

    def on_epoch_begin(self, epoch, logs=None):
        self.start = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.seconds.append(time.perf_counter() - self.start)


def random_hit(log: Log) -> float:
    """What a random ranking of the test sessions reaches, exactly."""
    names = [log.session, *log.tasks[0].columns]
    tables = [pq.read_table(file, columns=names) for file in kr.features.find_files(log.test)]
    session, y = (np.concatenate([t[name].to_numpy() for t in tables]) for name in names)
    return log.protocol.hit.expected_random(y, session)


def best_possible(log: Log) -> dict[str, float]:
    """Returns what the true probabilities reach on the test rows; nothing where nobody knows them."""
    if log.name != "homefeed":
        return {}
    best: Mapping[str, Any] = kr.data.bayes_optimal(log.test)
    figures = {f"auc_{t.name}_bayes": best[t.name]["auc"] for t in log.tasks}
    figures |= {f"ne_{t.name}_bayes": best[t.name]["ne"] for t in log.tasks}
    return figures | {"hit3_bayes": best[log.tasks[0].name]["hit@3"]}
