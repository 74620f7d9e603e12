"""The result of a search: the best trial, the front, what was refused; as Markdown, HTML and JSON."""

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


@dataclass(frozen=True)
class SearchResult:
    """The result of `search`.

    Args:
        found: Every trial, in the order in which they were drawn.
        rejected: Draws that were over budget and became no trial.
        budget: The limits.
        objective: What was sought.
        baseline: Metric, spread and cost of the baseline, if there is one.
        oracle_seconds: Time in which configurations were drawn and costed.
        confirming_seconds: Time in which they were measured.
        space: What was chosen from.
        log: The rows.
        training: How configurations were trained.
        seed: Of the first training of each.
        out: Folder of the search.
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

    @classmethod
    def of(cls, oracle: Any, space: SearchSpace, row: Any, **common: Any) -> "SearchResult":
        """Reads what a `BudgetOracle` holds."""
        trials = [Found.of(trial, oracle) for _, trial in sorted(oracle.trials.items())]
        tried = [dict(one.values) for one in trials]
        rejected = [one for one in oracle.rejected if dict(one.values) not in tried]
        times = {
            "oracle_seconds": oracle.seconds,
            "confirming_seconds": oracle.confirming_seconds,
        }
        return cls(trials, rejected, oracle.budget, baseline=row, space=space, **times, **common)

    @property
    def feasible(self) -> list[Found]:
        """The trials that finished within the budget, the best first."""
        sign = -1 if self.objective.direction == "max" else 1
        return sorted(
            (one for one in self.found if one.feasible), key=lambda one: sign * one.metric
        )

    def best(self) -> Found:
        """Gives the best trial that finished within the budget.

        Raises: `ValueError` if there is none, with the reasons.
        """
        if not self.feasible:
            reasons = Counter(one.reason for one in self.found)
            raise ValueError(
                f"A trial should have finished within the budget; of {len(self.found)} none did: "
                f"{dict(reasons)}"
            )
        return self.feasible[0]

    @property
    def trained(self) -> list[Found]:
        """The trials that finished, within the budget or not."""
        return [one for one in self.found if one.status == "COMPLETED"]

    @property
    def feasible_share(self) -> float:
        """Share of the finished trainings that were spent on models within the budget."""
        return len(self.feasible) / len(self.trained) if self.trained else math.nan

    @property
    def oracle_time_share(self) -> float:
        """The oracle's time over that of the whole search."""
        trained = sum(one.figures.get("seconds", 0.0) for one in self.trained)
        trained *= self.training.executions
        return self.oracle_seconds / (trained + self.oracle_seconds + self.confirming_seconds)

    @property
    def noise(self) -> float:
        """Standard deviation of the objective over trainings that differ in their seed only; or NaN."""
        spreads = [one.figures["spread"] for one in self.trained if "spread" in one.figures]
        degrees = [self.training.executions - 1] * len(spreads)
        if self.baseline is not None:
            spreads.append(self.baseline["spread"])
            degrees.append(len(self.baseline["runs"]) - 1)
        if not spreads:
            return math.nan
        return float(np.sqrt(np.average(np.square(spreads), weights=degrees)))

    def ties(self) -> list[Found]:
        """Gives the trials that are no worse than the best by more than seeds alone would make them.

        A tie is a difference within `2 √(2 / n)` times the noise, with `n` trainings of each. The best of
        many draws is flattered by its luck, so that more than these may be as good.
        """
        if not self.feasible or math.isnan(self.noise):
            return self.feasible[:1]
        reach = 2 * math.sqrt(2 / self.training.executions) * self.noise
        return [one for one in self.feasible if abs(one.metric - self.best().metric) <= reach]

    def front(self) -> list[Found]:
        """Gives the trials that no other beats in metric, memory and latency at once, the best first."""
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
        """Gives how much each parameter moved the metric, over the trials that finished."""
        return effects(self.trained)

    def to_markdown(self) -> str:
        """Gives the report in Markdown."""
        return markdown(self)

    def to_html(self) -> str:
        """Gives the report as one page that needs no other file."""
        return page(self)

    def to_json(self) -> dict[str, Any]:
        """Gives the report as plain values; what is undefined is null."""
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
                "effects": [asdict(effect) for effect in self.effects()],
            }
        )

    def write(self, out: Path) -> None:
        """Writes `report.md`, `report.html` and `report.json`."""
        write_report(self, out, "report")

    def retrain(self, folder: str | Path | None = None, *, export: bool = False) -> Any:
        """Trains the winner again, saves it, and exports it if asked: what a search ends in.

        Args:
            folder: Where `winner.keras`, `winner.json` (configuration, validation and test metrics) and the
                bundle go; `None` takes `winner` in the folder of the search.
            export: Whether SavedModel, ONNX and manifest are written to `folder/bundle`.

        Returns: The trained `RankingModel`.
        """
        return retrain_winner(self, Path(folder or self.out / "winner"), export)
