"""What a comparison found: as a table, Markdown, HTML and JSON."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kranking.budget import Budget, Cost, Figure, Violation
from kranking.comparison._intervals import Interval
from kranking.comparison._latency import BASELINE
from kranking.metrics import as_text

_WORSE = 0.05  # chance below which a spread counts as worse than the baseline's


@dataclass(frozen=True)
class Row:
    """A variant and what was found out about it.

    Args:
        name: Its name.
        metric: Mean of the main metric over seeds.
        difference: To the baseline in the main metric, with its interval; `None` of the baseline.
        figures: Difference to the baseline in each figure of the test rows, over paired seeds.
        means: Mean of each figure over seeds.
        spread: Standard deviation of the main metric over seeds, with its interval.
        wider: Chance of such a spread if it were the baseline's.
        cost: What it costs; `None` if every training failed.
        samples_per_second: Rows per second in training, the median over seeds.
        trained: Trainings that finished.
        failures: Reasons of those that did not.
        positives: Positives of the main task among the test rows.
    """

    name: str
    metric: float
    difference: Interval | None
    figures: Mapping[str, Interval]
    means: Mapping[str, float]
    spread: Interval
    wider: float
    cost: Cost | None
    samples_per_second: float
    trained: int
    failures: list[str]
    positives: int

    @property
    def stable(self) -> bool:
        """Whether every training finished."""
        return not self.failures

    def verdict(self) -> str:
        """Says in a word what the difference to the baseline is worth."""
        if self.difference is None:
            return ""
        if math.isnan(self.difference.low):
            return "undefined"
        if self.difference.inside_noise:
            return "inside noise"
        return "better" if self.difference.estimate > 0 else "worse"

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
        """Gives the limits that a variant is over; with a reason where they could not be checked."""
        cost, base = self[name].costs(), self[self.baseline].costs()
        if self.budget is None:
            return []
        if cost is None:
            return ["no training finished"]
        if base is not None:  # a machine has its moods: the baseline as it was in the same turns
            turns = {n: cost[BASELINE + n] for n in cost.figures if BASELINE + n in cost}
            base = base.with_figures(**turns)
        try:
            return [*self.budget.check(cost, base)]
        except ValueError as error:
            return [str(error)]

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Gives headings and cells: a variant per line."""
        main = f"{self.metric} {self.task}"
        headings = ["variant", main, "difference to baseline", "worth", "spread over seeds"]
        headings += ["memory", "latency p50", "of baseline's", "to tune", "rows/s", "stable"]
        if self.budget is not None:
            headings.append("within budget")
        return headings, [self._cells(row) for row in self.rows]

    def _cells(self, row: Row) -> list[str]:
        def figure(name: str) -> str:
            return str(row.cost[name]) if row.cost is not None and name in row.cost else "–"

        ratio = "–"
        if row.cost is not None and "latency_ratio" in row.cost:
            ratio = f"{row.cost['latency_ratio'].value:.2f}"
        worse = row.wider < _WORSE
        trials = row.trained + len(row.failures)
        cells = [
            row.name + (" (baseline)" if row.name == self.baseline else ""),
            as_text(row.metric),
            _percent(row.difference, self[self.baseline].metric),
            row.verdict(),
            as_text(row.spread.estimate) + (" wider" if worse else ""),
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
            "Difference: relative to the baseline's mean, with a 95 % interval from paired resampling "
            "of seeds and sessions. Spread: standard deviation over seeds; *wider* if its F test against "
            f"the baseline's is below {_WORSE}.",
            "Memory: peak of a training step, by formula unless a figure says otherwise. Latency: ONNX "
            "Runtime, in turns with the baseline.",
        ]
        if any(row.trained and math.isnan(row.metric) for row in self.rows):
            count = max(row.positives for row in self.rows)
            lines.append(f"{self.metric} is undefined: {count} positives among the test rows.")
        for row in self.rows:
            lines += [f"{row.name}: {reason}" for reason in dict.fromkeys(row.failures)]
        return lines

    def to_markdown(self) -> str:
        """Gives the report in Markdown."""
        headings, rows = self.table()
        lines = ["| " + " | ".join(headings) + " |", "|" + "---|" * len(headings)]
        lines += ["| " + " | ".join(row) + " |" for row in rows]
        return "\n".join([*lines, "", *(f"- {note}" for note in self.notes()), ""])

    def to_html(self) -> str:
        """Gives the report as one page that needs no other file."""
        from kranking.comparison._html import page

        return page(self)

    def to_json(self) -> dict[str, Any]:
        """Gives the report as plain values; what is undefined is null."""
        rows = []
        for row in self.rows:
            values = asdict(row) | {"cost": row.cost and row.cost.to_json()}
            rows.append(values | {"stable": row.stable, "verdict": row.verdict()})
        report = {"baseline": self.baseline, "metric": self.metric, "task": self.task, "rows": rows}
        return _finite(report | {"budget": self.budget and self.budget.to_json()})

    def __str__(self) -> str:
        from rich.console import Console
        from rich.table import Table

        headings, rows = self.table()
        table = Table(*headings)
        for row in rows:
            table.add_row(*row)
        console = Console(width=200)
        with console.capture() as captured:
            console.print(table)
        return captured.get() + "\n".join(self.notes())

    def write(self, out: Path) -> None:
        """Writes `report.md`, `report.html` and `report.json`."""
        texts = {
            "report.md": self.to_markdown(),
            "report.html": self.to_html(),
            "report.json": json.dumps(self.to_json(), indent=1, ensure_ascii=False),
        }
        for name, text in texts.items():
            temporary = out / f".{name}.tmp"
            temporary.write_text(text, encoding="utf-8")
            temporary.replace(out / name)


def _percent(difference: Interval | None, base: float) -> str:
    if difference is None or math.isnan(difference.estimate):
        return "–" if difference is None else "undefined"
    if not base:
        return str(difference)  # nothing to be relative to
    parts = [100 * v / base for v in (difference.estimate, difference.low, difference.high)]
    return f"{parts[0]:+.2f} % [{parts[1]:+.2f}, {parts[2]:+.2f}]"


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(part) for key, part in value.items()}
    return [_finite(part) for part in value] if isinstance(value, list | tuple) else value
