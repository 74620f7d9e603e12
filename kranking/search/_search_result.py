"""The result of a search: best trial, Pareto front, rejections; with reports in three formats."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kranking._core import finite
from kranking._report import write_report
from kranking.budget import Budget
from kranking.data import LogFiles
from kranking.search._effects import Effect, effects
from kranking.search._found import Found
from kranking.search._objective import Objective
from kranking.search._rejection import Rejection
from kranking.search._report import markdown, page
from kranking.search._search_space import SearchSpace
from kranking.search._training import Training
from kranking.search._winner import retrain_winner


@dataclass(frozen=True, repr=False)
class SearchResult:
    """The result of `search`.

    Args:
        found: All trials, in the order of their draws.
        rejected: Draws that were rejected before they became trials.
        budget: The limits.
        objective: The objective.
        baseline: Metric, spread and cost of the baseline, if there is one.
        oracle_seconds: Seconds spent on drawing configurations and computing their costs.
        confirming_seconds: Seconds spent on measuring configurations.
        space: The search space.
        log: The log.
        training: Training settings.
        seed: Seed of the first training of each trial.
        out: Folder of the search.
        used_up: Whether the search ended because no other configuration within the budget was found.
    """

    found: Sequence[Found]
    rejected: Sequence[Rejection]
    budget: Budget
    objective: Objective
    baseline: Mapping[str, Any] | None
    oracle_seconds: float
    confirming_seconds: float
    space: SearchSpace
    log: LogFiles
    training: Training
    seed: int
    out: Path
    used_up: bool = False

    @classmethod
    def of(cls, oracle: Any, space: SearchSpace, row: Any, **common: Any) -> "SearchResult":
        """Creates a result from the trials and rejections of a `BudgetOracle`."""
        trials = [Found.of(oracle.trials[name], oracle) for name in oracle.start_order]
        tried = [dict(one.values) for one in trials]
        rejected = [one for one in oracle.rejected if dict(one.values) not in tried]
        times = {
            "oracle_seconds": oracle.seconds,
            "confirming_seconds": oracle.confirming_seconds,
        }
        ended = {"used_up": oracle.used_up and len(trials) < oracle.max_trials}
        return cls(
            trials, rejected, oracle.budget, baseline=row, space=space, **times, **ended, **common
        )

    def __repr__(self) -> str:
        best = self.feasible[0] if self.feasible else None
        leader = (
            f"the best {best.name}: {self.objective.name} {best.metric:.4f}" if best else "none"
        )
        counts = f"{len(self.found)} trials, {len(self.feasible)} within the budget"
        return f"SearchResult({counts}, {leader}, in {str(self.out)!r})"

    @property
    def feasible(self) -> list[Found]:
        """Trials completed within the budget, the best first."""
        sign = -1 if self.objective.direction == "max" else 1
        return sorted(
            (one for one in self.found if one.feasible), key=lambda one: sign * one.metric
        )

    def best(self) -> Found:
        """Returns the best trial completed within the budget.

        Raises:
            ValueError: If there is none.
        """
        if not self.feasible:
            reasons = Counter(one.reason for one in self.found)
            raise ValueError(
                f"None of {len(self.found)} trials completed within the budget. Reasons: "
                f"{dict(reasons)}"
            )
        return self.feasible[0]

    @property
    def trained(self) -> list[Found]:
        """Completed trials, within the budget or not."""
        return [one for one in self.found if one.status == "COMPLETED"]

    @property
    def feasible_share(self) -> float:
        """Fraction of the completed trials that are within the budget."""
        return len(self.feasible) / len(self.trained) if self.trained else math.nan

    @property
    def oracle_time_share(self) -> float:
        """Fraction of the search time that was spent in the oracle."""
        trained = sum(one.figures.get("seconds", 0.0) for one in self.trained)
        trained *= self.training.executions
        return self.oracle_seconds / (trained + self.oracle_seconds + self.confirming_seconds)

    @property
    def noise(self) -> float:
        """Pooled standard deviation of the objective over seeds; NaN if it was not measured."""
        spreads = [one.figures["spread"] for one in self.trained if "spread" in one.figures]
        degrees = [self.training.executions - 1] * len(spreads)
        if self.baseline is not None:
            spreads.append(self.baseline["spread"])
            degrees.append(len(self.baseline["runs"]) - 1)
        if not spreads:
            return math.nan
        return float(np.sqrt(np.average(np.square(spreads), weights=degrees)))

    def ties(self) -> list[Found]:
        """Returns the trials whose difference from the best is within the noise between seeds.

        A tie is a difference of at most `2 √(2 / n)` times the noise, with `n` trainings per trial. The
        best of many trials is biased upward by chance, so more trials than these may be equally good.
        """
        if not self.feasible or math.isnan(self.noise):
            return self.feasible[:1]
        reach = 2 * math.sqrt(2 / self.training.executions) * self.noise
        return [one for one in self.feasible if abs(one.metric - self.best().metric) <= reach]

    def front(self) -> list[Found]:
        """Returns the Pareto front of metric, memory and latency, the best metric first."""
        sign = -1 if self.objective.direction == "max" else 1
        names = [
            n
            for n in ("memory", "latency_p50")
            if all(o.cost and n in o.cost for o in self.feasible)
        ]
        points = [(sign * one.metric, *(one.cost[n].value for n in names)) for one in self.feasible]

        def beaten(i: int) -> bool:
            own = points[i]
            return any(all(a <= b for a, b in zip(p, own)) and p != own for p in points)

        return [one for i, one in enumerate(self.feasible) if not beaten(i)]

    def effects(self) -> list[Effect]:
        """Returns the effect of each parameter on the metric, over the completed trials."""
        return effects(self.trained)

    def to_markdown(self) -> str:
        """Returns the report in Markdown."""
        return markdown(self)

    def to_html(self) -> str:
        """Returns the report as a self-contained HTML page."""
        return page(self)

    def to_json(self) -> dict[str, Any]:
        """Returns the report as a JSON-serializable dict; undefined numbers are `None`."""
        return finite(
            {
                "objective": asdict(self.objective),
                "budget": self.budget.to_json(),
                "baseline": self.baseline,
                "best": self.feasible[0].name if self.feasible else None,
                "ties": [one.name for one in self.ties()],
                "front": [one.name for one in self.front()],
                "noise": self.noise,
                "feasible_share": self.feasible_share,
                "oracle_time_share": self.oracle_time_share,
                "trials": [one.to_json() for one in self.found],
                "rejected": [one.to_json() for one in self.rejected],
                "used_up": self.used_up,
                "effects": [asdict(effect) for effect in self.effects()],
            }
        )

    def write(self, out: Path) -> None:
        """Writes `report.md`, `report.html` and `report.json`."""
        write_report(self, out, "report")

    def retrain(self, folder: str | Path | None = None, *, export: bool = False) -> Any:
        """Retrains the best configuration, saves it, and optionally exports it.

        Args:
            folder: Folder for `winner.keras`, `winner.json` (configuration, validation and test metrics)
                and the bundle; the default is `winner` in the folder of the search.
            export: Whether to write SavedModel, ONNX and manifest to `folder/bundle`.

        Returns:
            The trained `RankingModel`.
        """
        return retrain_winner(self, Path(folder or self.out / "winner"), export)
