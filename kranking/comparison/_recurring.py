"""A model trained period after period, against the same model left as it was after the first."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kranking._core import check_positive_int, versions
from kranking._files import replaced, write_json
from kranking.comparison._recurring_report import RecurringReport, period_of
from kranking.comparison._session_values import calibration_by_session, entropy_by_session
from kranking.comparison._variant import Variant, check_file_name, describe
from kranking.data import read_parquet
from kranking.features import find_files
from kranking.metrics import auc
from kranking.models import RankingModel
from kranking.training import Protocol, RankingEvaluation, load_state, save_state


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
    """Trains on the first period, then tests on each next one before it trains on it, as in production.

    After the first period, of which `protocol.epochs` passes are made, the same model with the same
    optimizer's slots goes on, one pass over each period. Every period but the first is scored before the
    model has seen it, and beside it by the model frozen after the first period. What is reported is the
    drift of each, in normalised entropy, calibration and HIT@k, and what training on has gained.

    The gain is that of fresher rows *and* of more rows: this cannot tell them apart.

    A period done is a file in `out`, and the training's state another: the same call goes on where a killed
    one stopped, with the same weights as if it had not been (as far as the backend gives the same bits
    twice: `kranking.training.set_seed`); so does one with further periods, a day later. A call with other
    files, model, protocol, backend or versions is refused.

    Args:
        make: Gives a new, untrained model, with declarations fitted on the first period.
        periods: Parquet files of each period, by its name, in the order of time.
        session: Column of sessions.
        protocol: How the model is trained.
        seeds: Trainings, with seeds 0, 1, ….
        out: Folder of the states, the figures of each period, and the report.
        verbose: As Keras's `fit`.

    Raises: `ValueError` for fewer than two periods, or a folder of another training;
    `FloatingPointError` where scores stop being finite.

    >>> recurring_training(lambda: None, {"monday": "monday.parquet"}, "session_id")
    Traceback (most recent call last):
      ...
    ValueError: `periods` must hold two periods or more, in the order of time. Received: ['monday']
    """
    check_positive_int("seeds", seeds)
    if len(periods) < 2:
        raise ValueError(
            f"`periods` must hold two periods or more, in the order of time. Received: {list(periods)}"
        )
    for name in periods:
        check_file_name("A period's name", name)
    protocol, out = protocol or Protocol(), Path(out)
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
    """The training of one seed, from wherever it stands."""

    def __init__(self, make, periods, session, protocol, folder, seed, verbose):
        self.periods, self.session, self.protocol = periods, session, protocol
        self.folder, self.seed, self.verbose = folder, seed, verbose
        keras.backend.clear_session()
        keras.utils.set_random_seed(seed)
        self.model = make()
        if self.model.compiled:
            raise ValueError(
                "`make` must give a new, untrained model. Received: one that is compiled"
            )
        self.model.compile(protocol.optimizer(), weighted_metrics=None)

    def finish(self) -> None:
        """Tests and trains on what has not been trained on."""
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
            save_state(self.model, state, {"periods": done})  # last: what it says is done, is there

    def _train(self, files: Any, epochs: int, number: int) -> None:
        size = self.protocol.batch_size
        rows = read_parquet(files, self.model, size, shuffle=True, seed=self.seed)
        # Each period draws from a seed of its own, set as it begins: on PyTorch, the first `fit` of a model
        # draws once more than later ones, and a training that goes on would leave the way it was on.
        seed = int(np.random.SeedSequence([self.seed, number]).generate_state(1)[0])
        begin = keras.callbacks.LambdaCallback(
            on_train_begin=lambda _: keras.utils.set_random_seed(seed)
        )
        self.model.fit(rows, epochs=epochs, callbacks=[begin], verbose=self.verbose)

    def _tested(self, files: Any, prefix: str = "") -> dict[str, np.ndarray]:
        """Gives values per session, whose mean is a figure; the AUC, which is no such mean, as it is."""
        rows = read_parquet(files, self.model, self.protocol.batch_size)
        test = RankingEvaluation(rows, self.session, ["ne"])
        index, values = np.asarray(test.session), {}
        for i, (task, (y, score, weight)) in enumerate(test.collect(self.model).items()):
            if not np.isfinite(score).all():
                raise FloatingPointError(f"scores of task {task!r} are not finite in {rows.files}")
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
    """Writes what is trained, or raises where the folder holds another training."""
    settings = {
        "session": session,
        "protocol": protocol.to_json(),
        "backend": keras.backend.backend(),
        "versions": versions("keras", keras.backend.backend()),
        "model": describe(Variant("model", make, None, None)),
        "periods": [
            [name, [[Path(f).name, Path(f).stat().st_size] for f in find_files(files)]]
            for name, files in periods.items()
        ],
    }
    settings = json.loads(json.dumps(settings, default=str))
    path = out / "settings.json"
    if path.exists():
        before = json.loads(path.read_text("utf-8"))
        known = before["periods"]
        changed = [n for n in settings if n != "periods" and settings[n] != before[n]]
        if settings["periods"][: len(known)] != known:
            changed.append("periods")
        if changed:
            raise ValueError(
                "`out` must be a new folder, or that of the same training, to which periods may be added. "
                f"Received: out={str(out)!r}, which differs in {', '.join(changed)}"
            )
    out.mkdir(parents=True, exist_ok=True)
    write_json(path, settings, fsync=True)


def _save(folder: Path, name: str, values: Mapping[str, np.ndarray]) -> None:
    arrays: Any = values
    path = folder / f"tested-{name}.npz"
    with replaced(path, fsync=True) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)


def _load(folder: Path, name: str) -> dict[str, np.ndarray]:
    with np.load(folder / f"tested-{name}.npz") as file:
        return dict(file)
