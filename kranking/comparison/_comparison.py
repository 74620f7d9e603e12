"""Results of a comparison, with reports in Markdown, HTML and JSON."""

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

_WORSE = 0.05  # significance level of the F test for a larger spread than the baseline


@dataclass(frozen=True)
class Row:
    """Results of a variant.

    Args:
        name: Name of the variant.
        metric: Mean of the main metric over seeds.
        difference: Difference from the baseline in the main metric, with its interval; `None` for the
            baseline.
        entropy: Difference from the baseline in the normalized entropy of the main task, with its
            interval; lower is better.
        figures: Difference from the baseline in each metric of the test rows, paired over seeds.
        means: Mean of each metric over seeds.
        spread: Standard deviation of the main metric over seeds, with its interval.
        wider: p-value of the F test for a larger spread than the baseline.
        cost: Cost of the model; `None` if every training failed.
        samples_per_second: Training throughput in rows per second, the median over seeds.
        trained: Number of trainings that finished.
        failures: Reasons of the failed trainings.
        not_served: Why latency could not be measured; empty otherwise.
        positives: Number of positives of the main task in the test rows.
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
        """Returns whether the variant is better or worse than the baseline, or inside noise."""
        return "" if self.difference is None else worth(self.difference)

    def costs(self) -> Cost | None:
        """Returns the cost with the spread as an additional figure, to check a budget."""
        if self.cost is None:
            return None
        return self.cost.with_figures(spread=Figure(self.spread.estimate, "", "measured"))


class Comparison:
    """The result of `compare`, with reports for the terminal and as Markdown, HTML and JSON.

    Attributes:
        rows: One `Row` per variant, in the given order.
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
        raise KeyError(f"The name must be one of {[r.name for r in self.rows]}. Received: {name!r}")

    def violations(self, name: str) -> list[Violation | str]:
        """Returns the limits that a variant exceeds, or why a limit could not be checked.

        The baseline is within every relative limit. Differences inside noise are not violations: latency
        exceeds a relative limit only if the lower bound of its ratio does, and spread only if the F test
        is significant.
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
        # Uses the latency of the baseline measured in alternation with this variant.
        turns = {n: cost[BASELINE + n] for n in cost.figures if BASELINE + n in cost}
        return base.with_figures(**turns)

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Returns headings and cells, with one row per variant."""
        main = f"{self.metric} {self.task}"
        headings = ["variant", main, "difference from baseline", "verdict", f"NE {self.task}"]
        headings += [
            "spread over seeds",
            "memory",
            "latency p50",
            "ratio to baseline",
            "hyperparameters",
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
        """Returns the notes that explain the table."""
        lines = [
            "Difference: relative to the mean of the baseline, with a paired 95 % interval over seeds and "
            "sessions; the same for NE, where lower is better. Spread: standard deviation over seeds with "
            f"its interval; *wider* if the p-value of an F test against the baseline is below {_WORSE}. "
            "Both assume that results over seeds are normally distributed.",
            "Memory: peak of a training step, analytic unless stated otherwise. Latency: ONNX Runtime, "
            "alternating with the baseline; the ratio is the median with its interval.",
        ]
        if any(row.trained and row.positives == 0 for row in self.rows):
            lines.append(f"{self.metric} is undefined: the test rows have no positives.")
        if not self[self.baseline].trained:
            lines.append("No training of the baseline finished, so there are no differences.")
        for row in self.rows:
            lines += [f"{row.name}: {reason}" for reason in dict.fromkeys(row.failures)]
            lines += (
                [f"{row.name}: latency not measured: {row.not_served}"] if row.not_served else []
            )
            if row.cost is not None and row.cost.unknown:
                lines.append(f"{row.name}: costs do not include {', '.join(row.cost.unknown)}")
        return lines

    def to_markdown(self) -> str:
        """Returns the report in Markdown."""
        lines = markdown_table(*self.table())
        return "\n".join([*lines, "", *markdown_list(self.notes()), ""])

    def to_html(self) -> str:
        """Returns the report as a self-contained HTML page."""
        return page(self)

    def to_json(self) -> dict[str, Any]:
        """Returns the report as a JSON-serializable dict; undefined numbers are `None`."""
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
