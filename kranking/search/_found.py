"""Results of a trial for the report of a search."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from kranking.budget import Cost


@dataclass(frozen=True)
class Found:
    """The result of a trial.

    Args:
        name: Number of the trial.
        values: Values of the hyperparameters.
        status: Status in KerasTuner: `"COMPLETED"`, `"FAILED"`, ….
        metric: Objective, the mean over its trainings; NaN if the trial did not complete.
        figures: All metrics of the best epoch, `seconds`, and `spread` over its trainings.
        cost: Cost of the configuration; `None` if unknown.
        feasible: Whether the trial completed within the budget.
        reason: Why it is not feasible; empty otherwise.
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
        """Creates a result from a trial of KerasTuner.

        Args:
            trial: The `keras_tuner` trial.
            oracle: The `BudgetOracle` of the trial.
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
            reason = "the spread over trainings exceeds the limit"
        values = {n: v for n, v in trial.hyperparameters.values.items() if "tuner/" not in n}
        metric: Any = trial.score if done else float("nan")
        cost = oracle.cost_of(trial)
        return cls(trial.trial_id, values, trial.status, metric, figures, cost, feasible, reason)

    def to_json(self) -> dict[str, Any]:
        """Returns the trial as a JSON-serializable dict."""
        return asdict(self) | {"cost": self.cost and self.cost.to_json()}
