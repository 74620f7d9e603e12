"""KerasTuner oracles restricted to a budget."""

import contextlib
import math
import os
import time
from collections.abc import Callable, Mapping
from typing import Any

from kranking._core import check_positive_int
from kranking._files import write_json
from kranking.budget import Budget, Cost
from kranking.search._bayesian import propose
from kranking.search._descent import nearest_within
from kranking.search._rejection import Rejection
from kranking.search._verdicts import EnoughMeasured, Verdicts

_COLLISIONS = (
    500  # draws of known configurations until a space is used up; KerasTuner's 20 miss some
)
_ALONE = "tuner0"  # the tuner id of KerasTuner without workers


class BudgetOracle:
    """Restricts a KerasTuner oracle to a budget by redrawing configurations before a trial is created.

    `BudgetOracle(oracle, budget, cost)` modifies the given oracle and returns it: it is still an instance
    of its class and works with any tuner. Draws over budget are recorded in `rejected`, with the violated
    limit. A Bayesian oracle learns from them and proposes the feasible candidate with the largest
    `EI(x) · P(x within budget)` (ADR 18).

    Args:
        oracle: A `keras_tuner` oracle that no tuner has used yet.
        budget: The limits. `spread` is known only after training; `get_best_trials` excludes trials that
            exceed it.
        cost: Function from `keras_tuner.HyperParameters` to a `Cost` that takes milliseconds, such as
            `SearchSpace.cost`. Its `ValueError` marks a configuration that cannot be built.
        baseline: Cost of the baseline, for relative limits.
        confirm: A slower function from `hp` to a `Cost`, such as a measurement. It is called for
            configurations that are within the budget by `cost`, before a trial is created, at most 20
            times; then the nearest configuration is searched by `cost`. Its figures replace those of
            `cost`, and its `ValueError` rejects the configuration.
        confirmed_baseline: Cost of the baseline by `confirm`, to which confirmed figures are compared.
        seed: Seed of the draws, 0 included, which KerasTuner 1.4.8 treats as unset. `None` keeps the
            seed of the oracle.
        patience: Number of consecutive rejected draws before the nearest one is moved step by step
            toward the budget.

    Raises:
        ValueError: If `oracle` is not a KerasTuner oracle.
        NoFeasiblePoint: On a draw, if no configuration within the budget is found.

    >>> import keras_tuner
    >>> age = kr.features.Numeric("age", mean=40.0, std=10.0)
    >>> space = kr.search.SearchSpace(["mlp"], [age], [kr.Task("save")])
    >>> oracle = keras_tuner.oracles.RandomSearchOracle(
    ...     keras_tuner.Objective("val_save_auc", "max"), hyperparameters=space.hyperparameters()
    ... )
    >>> budget = kr.budget.Budget(parameters=100_000)
    >>> BudgetOracle(oracle, budget, space.cost, seed=0).populate_space("0")["values"]["mlp/units"]
    '256-128'
    """

    def __new__(cls, oracle: Any, *args: Any, **kwargs: Any) -> Any:
        if not callable(getattr(oracle, "populate_space", None)):
            raise ValueError(f"`oracle` must be a keras_tuner.Oracle. Received: oracle={oracle!r}")
        own = type(oracle)
        oracle.__class__ = type(f"Budget{own.__name__}", (BudgetOracle, own), {})
        return oracle

    def __init__(
        self,
        oracle: Any,
        budget: Budget,
        cost: Callable[[Any], Cost],
        *,
        baseline: Cost | None = None,
        confirm: Callable[[Any], Cost] | None = None,
        confirmed_baseline: Cost | None = None,
        seed: int | None = None,
        patience: int = 200,
    ):
        check_positive_int("seed", seed, optional=True, minimum=0)
        check_positive_int("patience", patience)
        self.verdicts = Verdicts(
            budget,
            cost,
            baseline=baseline,
            confirm=confirm,
            confirmed_baseline=confirmed_baseline,
            hp_of=self._hp,
            key_of=self._compute_values_hash,
        )
        self._patience = patience
        self.seconds = 0.0  # spent in the oracle, without `confirm`
        self.used_up = False  # whether the last draw found no configuration that was not tried
        self.left_at_work: dict[str, str] = {}  # trial by worker at the time of saving
        self._max_collisions = _COLLISIONS
        if seed is not None:
            self.seed = self._seed_state = seed

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Returns the values of the next trial, within the budget."""
        start, before = time.perf_counter(), self.confirming_seconds
        self.verdicts.confirmations = 0
        try:
            return self._populate(trial_id)
        finally:
            confirmed = self.confirming_seconds - before
            self.seconds += time.perf_counter() - start - confirmed

    def _populate(self, trial_id: str) -> dict[str, Any]:
        if hasattr(self, "gpr"):
            values = None
            with contextlib.suppress(EnoughMeasured):
                values = propose(self)
            # Not the proposal of KerasTuner, which repeats trials once a space is used up.
            values = values or self._random_values()
            return {"status": "STOPPED" if values is None else "RUNNING", "values": values}
        last = None
        for _ in range(self._patience):
            before, found = self.used_up, super().populate_space(trial_id)
            if self.used_up and not before:  # a bracket of Hyperband continues with fewer trials
                found = super().populate_space(trial_id)
            values = found.get("values")
            if found["status"] != "RUNNING" or self.rejection(values) is None:
                return found
            if values == last:
                raise ValueError(
                    "`oracle` must draw another configuration on the next call. Received: "
                    f"{type(self).__name__}, which repeats {values}, which is over budget"
                )
            last = values
        return {"status": "STOPPED", "values": None}

    def _get_size(self, bracket_num: int, round_num: int) -> int:
        """Returns the number of trials in a round of Hyperband: of those drawn, if there are no others."""
        size = super()._get_size(bracket_num, round_num)
        brackets = [b["rounds"][0] for b in self._brackets if b["bracket_num"] == bracket_num]
        drawn = max(map(len, brackets), default=0)
        if not self.used_up or not drawn:
            return size
        return min(size, math.ceil(drawn / self.factor**round_num))

    def _random_values(self) -> dict[str, Any] | None:
        values = self._drawn_values()
        self.used_up = values is None
        return values

    def _drawn_values(self) -> dict[str, Any] | None:
        drawn = []
        for _ in range(self._patience):
            values = super()._random_values()
            if values is None:
                break
            try:
                if self.rejection(values) is None:
                    return values
            except EnoughMeasured:
                break
            drawn.append(values)
        return nearest_within(self, drawn)

    def rejection(self, values: Mapping[str, Any]) -> Rejection | None:
        """Returns why a configuration is rejected, or `None` if it is within the budget."""
        return self.verdicts.rejection(values)

    @property
    def budget(self) -> Budget:
        """The limits."""
        return self.verdicts.budget

    @property
    def rejected(self) -> list[Rejection]:
        """Rejected draws."""
        return self.verdicts.rejected

    @property
    def confirming_seconds(self) -> float:
        """Seconds spent in `confirm`."""
        return self.verdicts.confirming_seconds

    def _hp(self, values: Mapping[str, Any]) -> Any:
        hp = self.hyperparameters.copy()
        hp.values = dict(values)
        return hp

    def ensure_feasible(self) -> None:
        """Raises `NoFeasiblePoint` if none is found; does not change the sequence of draws."""
        before, self.verdicts.confirmations = self._seed_state, 0
        self._drawn_values()
        self._seed_state = before

    def cost_of(self, trial: Any) -> Cost | None:
        """Returns the cost of the configuration of a trial."""
        return self.verdicts.cost_of(trial.hyperparameters.values)

    def is_feasible(self, trial: Any) -> bool:
        """Whether a trial completed within the budget, `spread` included."""
        if trial.status != "COMPLETED" or trial.score is None or not math.isfinite(trial.score):
            return False
        if self.rejection(trial.hyperparameters.values) is not None:
            return False
        limits = [limit for limit in self.budget.limits if limit.name == "spread"]
        if not limits or not trial.metrics.exists("spread"):
            return not limits
        return bool(
            trial.metrics.get_last_value("spread") <= limits[0].most(self.verdicts.baseline)
        )

    def get_best_trials(self, num_trials: int = 1) -> list[Any]:
        """Returns the best trials completed within the budget, possibly fewer than `num_trials`."""
        good = [trial for trial in self.trials.values() if self.is_feasible(trial)]
        sign = -1 if self.objective.direction == "max" else 1
        return sorted(good, key=lambda trial: sign * trial.score)[:num_trials]

    def get_state(self) -> dict[str, Any]:
        """Returns the state, including rejected draws."""
        own = {**self.verdicts.to_json(), "seconds": self.seconds}
        return super().get_state() | {"budget_oracle": own}

    def set_state(self, state: dict[str, Any]) -> None:
        """Restores a state of this search or of an interrupted one."""
        known = set(state["start_order"])
        self.trials = {name: trial for name, trial in self.trials.items() if name in known}
        super().set_state(state)
        self.left_at_work = {
            who: trial for who, trial in state["ongoing_trials"].items() if who != _ALONE
        }
        self.seconds = state["budget_oracle"]["seconds"]
        self.verdicts.take_up(state["budget_oracle"])

    def reload(self) -> None:
        """Restores the state on disk; completed trials are not run again."""
        super().reload()
        ended = [t for t in self._retry_queue if self.trials[t].status in ("COMPLETED", "FAILED")]
        self._retry_queue = [t for t in self._retry_queue if t not in ended]
        self.end_order = [*self.end_order, *(t for t in ended if t not in self.end_order)]

    def save(self) -> None:
        """Saves the state atomically."""
        write_json(self._get_oracle_fname(), self.get_state(), indent=None, fsync=True)

    def _save_trial(self, trial: Any) -> None:
        folder = self._get_trial_dir(trial.trial_id)
        path = os.path.join(folder, "trial.json")
        write_json(path, trial.get_state(), indent=None, fsync=True)
