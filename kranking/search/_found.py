"""A trial of a search, as its report sees it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from kranking.budget import Cost


@dataclass(frozen=True)
class Found:
    """A configuration that became a trial.

    Args:
        name: Its number.
        values: The configuration.
        status: KerasTuner's: `"COMPLETED"`, `"FAILED"`, ….
        metric: Its objective, the mean over its trainings; NaN unless it finished.
        figures: All metrics of its best epoch, `seconds`, and `spread` over its trainings.
        cost: What it costs; `None` if that is not known.
        feasible: Whether it finished and is within the budget.
        reason: Why not.
    """

    name: str
    values: Mapping[str, Any]
    status: str
    metric: float
    figures: Mapping[str, float]
    cost: Cost | None
    feasible: bool
    reason: str = ""

    @classmethod
    def of(cls, trial: Any, oracle: Any) -> "Found":
        """Reads one of KerasTuner's trials.

        Args:
            trial: The `keras_tuner` trial.
            oracle: Its `BudgetOracle`.
        """
        done = trial.status == "COMPLETED" and trial.score is not None
        figures = {n: trial.metrics.get_last_value(n) for n in trial.metrics.metrics}
        rejection, reason = oracle.rejection(trial.hyperparameters.values), ""
        feasible = oracle.is_feasible(trial)
        if rejection is not None:
            reason = rejection.reason
        elif not done:
            lines = (trial.message or "").strip().splitlines()
            reason = lines[-1] if lines else trial.status.lower()
        elif not feasible:
            reason = "spread over its trainings is over the limit"
        values = {n: v for n, v in trial.hyperparameters.values.items() if "tuner/" not in n}
        metric: Any = trial.score if done else float("nan")
        cost = oracle.cost_of(trial)
        return cls(trial.trial_id, values, trial.status, metric, figures, cost, feasible, reason)

    def to_json(self) -> dict[str, Any]:
        """Gives the trial as plain values."""
        return asdict(self) | {"cost": self.cost and self.cost.to_json()}
