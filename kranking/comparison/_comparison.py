"""What a comparison found: as a table, Markdown, HTML and JSON."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kranking._core import finite
from kranking._report import markdown_list, markdown_table, terminal_table, write_report
from kranking.budget import Budget, Cost, Figure, Violation
from kranking.comparison._comparison_page import page
from kranking.comparison._interval_text import percent, spread_text
from kranking.comparison._intervals import Interval, worth
from kranking.comparison._served_latencies import BASELINE
from kranking.metrics import as_text

_WORSE = 0.05  # chance below which a spread counts as worse than the baseline's


@dataclass(frozen=True)
class Row:
    """A variant and what was found out about it.

    Args:
        name: Its name.
        metric: Mean of the main metric over seeds.
        difference: To the baseline in the main metric, with its interval; `None` of the baseline.
        entropy: Likewise in the main task's normalised entropy, of which less is better.
        figures: Difference to the baseline in each figure of the test rows, over paired seeds.
        means: Mean of each figure over seeds.
        spread: Standard deviation of the main metric over seeds, with its interval.
        wider: Chance of such a spread if it were the baseline's.
        cost: What it costs; `None` if every training failed.
        samples_per_second: Rows per second in training, the median over seeds.
        trained: Trainings that finished.
        failures: Reasons of those that did not.
        not_served: Why there is no latency, if it could not be measured.
        positives: Positives of the main task among the test rows.
    """

    name: str
    metric: float
    difference: Interval | None
    entropy: Interval | None
    figures: Mapping[str, Interval]
    means: Mapping[str, float]
    spread: Interval
    wider: float
    cost: Cost | None
    samples_per_second: float
    trained: int
    failures: list[str]
    not_served: str
    positives: int

    @property
    def stable(self) -> bool:
        """Whether every training finished."""
        return not self.failures

    def verdict(self) -> str:
        """Says in a word what the difference to the baseline is worth."""
        return "" if self.difference is None else worth(self.difference)

    def costs(self) -> Cost | None:
        """Gives the cost with the spread among its figures, for a budget."""
        if self.cost is None:
            return None
        return self.cost.with_figures(spread=Figure(self.spread.estimate, "", "measured"))


class Comparison:
    """The report of `compare`: printed, as Markdown, as one HTML page with plots, as JSON.

    Attributes:
        rows: A `Row` for each variant, in the order that was asked for.
        baseline: Name of the baseline.
        budget: The limits, if any.
    """

    def __init__(
        self,
        rows: list[Row],
        baseline: str,
        budget: Budget | None,
        metric: str,
        task: str,
        trials: Mapping[str, list[dict[str, Any]]],
    ):
        self.rows = rows
        self.baseline = baseline
        self.budget = budget
        self.metric = metric
        self.task = task
        self.trials = trials

    def __getitem__(self, name: str) -> Row:
        for row in self.rows:
            if row.name == name:
                return row
        raise KeyError(f"This comparison holds {[r.name for r in self.rows]}. Received: {name!r}")

    def violations(self, name: str) -> list[Violation | str]:
        """Gives the limits that a variant is over; with a reason where one could not be checked.

        The baseline is within every relative limit. A latency is over a relative limit if the whole
        interval of its ratio is, a spread if its F test says so: what is inside the noise is no violation.
        """
        row, cost = self[name], self[name].costs()
        if self.budget is None:
            return []
        if cost is None:
            return ["no training finished"]
        found: list[Violation | str] = []
        for limit in self.budget.limits:
            if limit.relative and name == self.baseline:
                continue
            one = Budget(**{limit.name: getattr(self.budget, limit.name)})
            try:
                over = one.check(cost, self._baseline_in_turns(cost))
            except ValueError as error:
                found.append(str(error))
                continue
            if limit.relative and limit.name == "latency" and "latency_ratio_low" in cost:
                over = over if cost["latency_ratio_low"].value > 1 + limit.value else []
            if limit.relative and limit.name == "spread":
                over = over if row.wider < _WORSE else []
            found += over
        return found

    def _baseline_in_turns(self, cost: Cost) -> Cost | None:
        base = self[self.baseline].costs()
        if base is None:
            return None
        # A machine has its moods: the baseline as it was in the variant's own turns.
        turns = {n: cost[BASELINE + n] for n in cost.figures if BASELINE + n in cost}
        return base.with_figures(**turns)

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Gives headings and cells: a variant per line."""
        main = f"{self.metric} {self.task}"
        headings = ["variant", main, "difference to baseline", "worth", f"NE {self.task}"]
        headings += [
            "spread over seeds",
            "memory",
            "latency p50",
            "of baseline's",
            "to tune",
            "rows/s",
            "stable",
        ]
        if self.budget is not None:
            headings.append("within budget")
        return headings, [self._cells(row) for row in self.rows]

    def _cells(self, row: Row) -> list[str]:
        def figure(name: str) -> str:
            return str(row.cost[name]) if row.cost is not None and name in row.cost else "–"

        ratio = "–"
        if row.cost is not None and "latency_ratio" in row.cost:
            low, high = (row.cost[f"latency_ratio_{end}"].value for end in ("low", "high"))
            ratio = f"{row.cost['latency_ratio'].value:.2f} [{low:.2f}, {high:.2f}]"
        worse = row.wider < _WORSE
        trials = row.trained + len(row.failures)
        cells = [
            row.name + (" (baseline)" if row.name == self.baseline else ""),
            as_text(row.metric),
            percent(row.difference, self[self.baseline].metric),
            row.verdict(),
            percent(row.entropy, self[self.baseline].means.get(f"{self.task}_ne", math.nan)),
            spread_text(row.spread) + (" wider" if worse else ""),
            figure("memory"),
            figure("latency_p50"),
            ratio,
            figure("hyperparameters"),
            "–" if math.isnan(row.samples_per_second) else f"{row.samples_per_second:,.0f}",
            "✓" if row.stable else f"✗ {len(row.failures)} of {trials} failed",
        ]
        if self.budget is not None:
            found = self.violations(row.name)
            cells.append("✗ " + "; ".join(map(str, found)) if found else "✓")
        return cells

    def notes(self) -> list[str]:
        """Gives what a reader has to know beside the table."""
        lines = [
            "Difference: relative to the baseline's mean, with a 95 % interval over seeds and sessions, "
            "paired; NE likewise, where less is better. Spread: standard deviation over seeds with its "
            f"interval; *wider* if an F test against the baseline's is below {_WORSE}. Both take seeds as "
            "draws from a normal distribution.",
            "Memory: peak of a training step, by formula unless a figure says otherwise. Latency: ONNX "
            "Runtime, in turns with the baseline, with the interval of the median ratio.",
        ]
        if any(row.trained and row.positives == 0 for row in self.rows):
            lines.append(f"{self.metric} is undefined: 0 positives among the test rows.")
        if not self[self.baseline].trained:
            lines.append("The baseline did not finish: no differences.")
        for row in self.rows:
            lines += [f"{row.name}: {reason}" for reason in dict.fromkeys(row.failures)]
            lines += [f"{row.name}: not served: {row.not_served}"] if row.not_served else []
            if row.cost is not None and row.cost.unknown:
                lines.append(f"{row.name}: its costs leave out {', '.join(row.cost.unknown)}")
        return lines

    def to_markdown(self) -> str:
        """Gives the report in Markdown."""
        lines = markdown_table(*self.table())
        return "\n".join([*lines, "", *markdown_list(self.notes()), ""])

    def to_html(self) -> str:
        """Gives the report as one page that needs no other file."""
        return page(self)

    def to_json(self) -> dict[str, Any]:
        """Gives the report as plain values; what is undefined is null."""
        rows = []
        for row in self.rows:
            values = asdict(row) | {"cost": row.cost and row.cost.to_json()}
            rows.append(values | {"stable": row.stable, "verdict": row.verdict()})
        report = {"baseline": self.baseline, "metric": self.metric, "task": self.task, "rows": rows}
        return finite(report | {"budget": self.budget and self.budget.to_json()})

    def __str__(self) -> str:
        return terminal_table(*self.table()) + "\n".join(self.notes())

    def write(self, out: Path) -> None:
        """Writes `report.md`, `report.html` and `report.json`."""
        write_report(self, out, "report")
