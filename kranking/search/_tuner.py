"""A KerasTuner tuner that trains on a log."""

import copy
import os
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kranking.data import LogFiles
from kranking.search import _worker
from kranking.search._chief import serve
from kranking.search._objective import Objective
from kranking.search._progress import Progress
from kranking.search._search_space import SearchSpace
from kranking.search._training import Training, fit_best
from kranking.training.internal import reset_session

_PAUSE = 1.0  # seconds before an idle worker requests a trial again


def in_a_team() -> bool:
    """Whether this process is the chief or a worker, by the environment variables of KerasTuner."""
    return "KERASTUNER_ORACLE_IP" in os.environ


def is_worker() -> bool:
    """Whether this process is a worker, by the environment variables of KerasTuner."""
    return in_a_team() and "chief" not in os.environ.get("KERASTUNER_TUNER_ID", "")


def make_tuner(oracle: Any, space: SearchSpace, folder: Path, **options: Any) -> Any:
    """Returns a `keras_tuner.Tuner` whose trials are trainings on a log.

    Args:
        oracle: The `BudgetOracle`.
        space: The search space.
        folder: The folder to write into.
        **options: Arguments of `TrainsOnLog`.
    """
    import keras_tuner

    kind = type("LogTuner", (TrainsOnLog, keras_tuner.Tuner), {})
    places = {"directory": str(folder.parent), "project_name": folder.name}
    return kind(oracle=oracle, hypermodel=space, space=space, **places, **options)


class TrainsOnLog:
    """Mixin for a KerasTuner tuner whose trials are seeded trainings with metrics on validation rows.

    Args:
        space: The search space.
        log: The log to train on.
        training: Training settings.
        objective: The objective.
        seed: Seed of the first training of each trial.
        **options: Arguments of `keras_tuner.Tuner`.
    """

    def __init__(
        self,
        *,
        space: SearchSpace,
        log: LogFiles,
        training: Training,
        objective: Objective,
        seed: int,
        **options: Any,
    ):
        self.space, self.log, self.training = space, log, training
        self.sought, self.seed = objective, seed
        self._asked = False
        options["distribution_strategy"] = training.strategy
        super().__init__(**options)
        if self._is_worker():
            _worker.persist(self.oracle)

    def search(self, *, verbose: Any = 1) -> None:
        """Runs all trials: in this process, as the chief of workers, or as a worker."""
        if self._is_worker():
            return super().search()  # pyright: ignore
        self.oracle.verbose = verbose
        self.progress = Progress(self.oracle.max_trials, len(self.oracle.end_order))
        self.save()  # so that the search can be resumed if killed in the first trial
        if in_a_team():
            return serve(self.oracle, self._say)
        return super().search()  # pyright: ignore

    def pre_create_trial(self) -> None:
        """Waits before a worker requests another trial if the last request returned none."""
        if self._asked:
            time.sleep(_PAUSE)
        self._asked = self._is_worker()

    def on_trial_begin(self, trial: Any) -> None:
        """Records that the worker received a trial."""
        self._asked = False

    def on_trial_end(self, trial: Any) -> None:
        """Reports the trial, and prints the remaining time."""
        if self._is_worker():
            return _worker.end_trial(self.oracle, trial)
        super().on_trial_end(trial)
        self._say()

    def _say(self) -> None:
        if self.oracle.verbose:
            print(self.progress.line(len(self.oracle.end_order)), flush=True)

    def _get_tuner_fname(self) -> str:
        # KerasTuner names the file after the process and treats a folder without it as new, so a chief
        # could not continue a search that was started on one machine.
        name = self.tuner_id if self._is_worker() else "tuner0"
        return str(Path(self.project_dir) / f"{name}.json")

    def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Trains a configuration `executions` times and returns the mean of each metric."""
        alive = (
            _worker.heartbeat(self.oracle, trial.trial_id) if self._is_worker() else nullcontext()
        )
        with alive:
            runs = [self._run(trial, execution) for execution in range(self.training.executions)]
        means = {name: float(np.mean([run[name] for run in runs])) for name in runs[0]}
        # KerasTuner warns of undefined metrics, such as those of a task without positives.
        found = {name: value for name, value in means.items() if np.isfinite(value)}
        if len(runs) > 1:
            found["spread"] = float(np.std([run[self.sought.name] for run in runs], ddof=1))
        return found

    def _run(self, trial: Any, execution: int) -> dict[str, float]:
        values, seed = trial.hyperparameters.values, self.seed + execution
        reset_session(seed)
        callbacks = copy.deepcopy(list(self.training.callbacks))
        if any(isinstance(callback, keras.callbacks.TensorBoard) for callback in callbacks):
            self._configure_tensorboard_dir(callbacks, trial, execution)  # with HParams
        strategy, epochs = self.distribution_strategy, None
        with strategy.scope() if strategy is not None else nullcontext():
            model = self.space(trial.hyperparameters)
        if "tuner/epochs" in values:
            epochs = (values["tuner/initial_epoch"], values["tuner/epochs"])
            if "tuner/trial_id" in values:
                model.optimizer.build(model.trainable_variables)  # the file contains its slots
                model.load_weights(self._weights(values["tuner/trial_id"], execution))
        options = {"batch_size": self.space.batch_size, "seed": seed, "epochs": epochs}
        found = fit_best(
            model, self.log, self.training, self.sought, callbacks=callbacks, **options
        )
        if epochs is not None:
            model.save_weights(self._weights(trial.trial_id, execution))
        return found

    def _weights(self, trial_id: str, execution: int) -> str:
        return str(Path(self.get_trial_dir(trial_id)) / f"{execution}.weights.h5")
