"""Recurring training over periods, compared to a model frozen after the first period."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kranking._core import check_positive_int, versions
from kranking._files import replaced, write_json
from kranking._identity import changed, plain_json, read_settings
from kranking._paths import as_path, make_folder
from kranking._rows import file_contents, repeatable
from kranking.comparison._recurring_report import RecurringReport, period_of
from kranking.comparison._session_values import calibration_by_session, entropy_by_session
from kranking.comparison._variant import Variant, check_file_name, describe
from kranking.data import read
from kranking.metrics import auc
from kranking.models import RankingModel
from kranking.training import Protocol, RankingEvaluation, load_state, save_state
from kranking.training.internal import keep_random_states, reset_session


@keep_random_states()
def recurring_training(
    make: Callable[[], RankingModel],
    periods: Mapping[str, Any],
    session: str,
    *,
    protocol: Protocol | None = None,
    seeds: int = 1,
    out: str | Path = "recurring",
    verbose: Any = "auto",
) -> RecurringReport:
    """Trains on successive periods, testing on each period before training on it, as in production.

    Training takes `protocol.epochs` epochs on the first period and then one epoch on each following period,
    with the same model and optimizer state. Every period except the first is scored before the model is
    trained on it, also by a model frozen after the first period. The report shows the drift of both models
    in normalized entropy, calibration and HIT@k, and the gain from continued training. This gain is due to
    both fresher rows *and* more rows, which cannot be separated here.

    The results of a period and the state of the training are files in `out`: the same call resumes an
    interrupted one with identical weights (if the backend is deterministic, see
    `kranking.training.set_seed`), and later periods can be added. A call with other files, model, protocol,
    backend or versions raises.

    Args:
        make: Function that returns a new, untrained model, with declarations fitted on the first period.
        periods: Rows of each period by name, in chronological order, of any kind that
            `kranking.data.read` accepts.
        session: Name of the column of session ids.
        protocol: Training settings.
        seeds: Number of trainings, with seeds 0, 1, ….
        out: Folder of the states, the results of each period, and the report.
        verbose: Verbosity of `fit`.

    Returns:
        A `RecurringReport`, which is also written to `out`.

    Raises:
        ValueError: If there are fewer than two periods, or the folder belongs to another training.
        FloatingPointError: If scores are not finite.

    >>> recurring_training(lambda: None, {"monday": "monday.parquet"}, "session_id")
    Traceback (most recent call last):
      ...
    ValueError: `periods` must have at least two periods in chronological order. Received: ['monday']
    """
    check_positive_int("seeds", seeds)
    if len(periods) < 2:
        raise ValueError(
            f"`periods` must have at least two periods in chronological order. Received: {list(periods)}"
        )
    for name in periods:
        check_file_name("The name of a period", name)
    periods = {name: repeatable(rows) for name, rows in periods.items()}
    protocol, out = protocol or Protocol(), as_path("out", out)
    _check_settings(out, make, periods, session, protocol)
    for seed in range(seeds):
        _Run(make, periods, session, protocol, out / f"seed{seed}", seed, verbose).finish()
    first, *tested = periods
    folders = [out / f"seed{seed}" for seed in range(seeds)]
    found = [period_of(name, [_load(folder, name) for folder in folders]) for name in tested]
    report = RecurringReport(found, first, seeds)
    report.write(out)
    return report


class _Run:
    """The training with one seed, resumed if it was interrupted."""

    def __init__(self, make, periods, session, protocol, folder, seed, verbose):
        self.periods, self.session, self.protocol = periods, session, protocol
        self.folder, self.seed, self.verbose = folder, seed, verbose
        reset_session(seed)
        self.model = make()
        if self.model.compiled:
            raise ValueError(
                "`make` must return a new, untrained model. Received: a compiled model"
            )
        self.model.compile(protocol.optimizer(), weighted_metrics=None)

    def finish(self) -> None:
        """Tests and trains on the remaining periods."""
        state, first = self.folder / "state.npz", self.folder / "first.npz"
        done = load_state(self.model, state)["periods"] if state.exists() else []
        for name, files in list(self.periods.items())[len(done) :]:
            if done:
                now = self._tested(files)
                load_state(self.model, first)
                frozen = self._tested(files, "frozen_")
                load_state(self.model, state)
                _save(self.folder, name, now | frozen)
            self._train(files, 1 if done else self.protocol.epochs, len(done))
            done = [*done, name]
            if len(done) == 1:
                save_state(self.model, first, {"periods": done})
            save_state(self.model, state, {"periods": done})  # last, when all results are saved

    def _train(self, files: Any, epochs: int, number: int) -> None:
        size = self.protocol.batch_size
        rows = read(files, self.model, size, shuffle=True, seed=self.seed)
        # Each period sets its own seed when training begins: on PyTorch, the first `fit` of a model draws
        # one more random number than later ones, so a resumed training would differ otherwise.
        seed = int(np.random.SeedSequence([self.seed, number]).generate_state(1)[0])
        begin = keras.callbacks.LambdaCallback(
            on_train_begin=lambda _: keras.utils.set_random_seed(seed)
        )
        self.model.fit(rows, epochs=epochs, callbacks=[begin], verbose=self.verbose)

    def _tested(self, files: Any, prefix: str = "") -> dict[str, np.ndarray]:
        """Returns metrics as values per session whose mean is the metric; the AUC as a single value."""
        rows = read(files, self.model, self.protocol.batch_size)
        test = RankingEvaluation(rows, self.session, ["ne"])
        index, values = np.asarray(test.session), {}
        for i, (task, (y, score, weight)) in enumerate(test.collect(self.model).items()):
            if not np.isfinite(score).all():
                raise FloatingPointError(
                    f"The scores of task {task!r} are not finite for {rows.files}"
                )
            kept = weight != 0
            if not i:
                hits = self.protocol.hit.per_session(y[kept], score[kept], index[kept])[1]
                values[f"{task}_{self.protocol.hit.name}"] = (
                    hits if y[kept].any() else hits * np.nan
                )
            values[f"{task}_auc"] = np.array([auc(y, score, weight)])
            y, score, weight = (np.where(kept, v, 0).astype("float64") for v in (y, score, weight))
            values[f"{task}_ne"] = entropy_by_session(y, score, weight, index)
            values[f"{task}_calibration"] = calibration_by_session(y, score, weight, index)
        sizes = {} if prefix else {"rows": np.array(len(index)), "sessions": index.max() + 1}
        return {prefix + name: part for name, part in values.items()} | sizes


def _check_settings(out: Path, make, periods, session: str, protocol: Protocol) -> None:
    """Writes the settings, or raises `ValueError` if the folder belongs to another training."""
    settings = {
        "session": session,
        "protocol": protocol.to_json(),
        "backend": keras.backend.backend(),
        "versions": versions("keras", keras.backend.backend()),
        "model": describe(Variant("model", make, None, None)),
        "periods": [
            {"name": name, "files": file_contents(files)} for name, files in periods.items()
        ],
    }
    settings = plain_json(settings)
    path = out / "settings.json"
    before = read_settings(path)
    if before is not None:
        known = settings["periods"][: len(before.get("periods", []))]
        if differs := changed(before, settings | {"periods": known}):
            raise ValueError(
                "`out` must be a new folder or the folder of the same training; periods may be added. "
                f"Received: out={str(out)!r}, which differs in {differs}"
            )
    make_folder(out)
    write_json(path, settings, fsync=True)


def _save(folder: Path, name: str, values: Mapping[str, np.ndarray]) -> None:
    arrays: Any = values
    path = folder / f"tested-{name}.npz"
    with replaced(path, fsync=True) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)


def _load(folder: Path, name: str) -> dict[str, np.ndarray]:
    with np.load(folder / f"tested-{name}.npz") as file:
        return dict(file)
