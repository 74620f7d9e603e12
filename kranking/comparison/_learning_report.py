"""Results of learning experiments, with reports in Markdown, HTML and JSON."""

import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from kranking._core import finite
from kranking._report import markdown_list, markdown_table, terminal_table, write_report
from kranking.comparison._comparison import Comparison
from kranking.comparison._experiments import Experiment, Point
from kranking.comparison._findings import Finding, finding
from kranking.comparison._gains import Gains
from kranking.comparison._interval_text import spread_text
from kranking.comparison._intervals import Interval, worth
from kranking.comparison._learning_page import page
from kranking.metrics import as_text

_MEASURES = {
    "hit": "the main metric",
    "ne": "the decrease of the normalized entropy of the main task",
}


class LearningReport:
    """The result of `learning_experiments`, with reports for the terminal and as Markdown, HTML and JSON.

    Attributes:
        experiments: The experiments.
        findings: Conclusion of each experiment, by fixed rules.
        comparison: The `Comparison` of all models to a stack of four cross steps.
        gains: Gains between any two models.
    """

    def __init__(self, experiments: list[Experiment], gains: Gains):
        self.experiments = experiments
        self.gains = gains
        self.comparison: Comparison = gains.comparison
        self.findings: list[Finding] = [finding(one, gains) for one in experiments]

    def suggestions(self) -> dict[str, list[str]]:
        """Returns architectures worth trying, with the experiments that suggest them."""
        found: dict[str, list[str]] = {}
        for one in self.findings:
            for family in one.families:
                found.setdefault(family, []).append(one.experiment)
        return dict(sorted(found.items(), key=lambda item: -len(item[1])))

    def table(self, experiment: Experiment) -> tuple[list[str], list[list[str]]]:
        """Returns headings and cells of an experiment, as in Table 1 of the paper with intervals."""
        headings = ["model", "reference", self.comparison.metric, "gain", "NE gain", "verdict"]
        headings += [
            "spread over seeds",
            "FLOPs",
            "memory",
            "latency p50",
            "hyperparameters",
            "seeds",
        ]
        return headings, [self._cells(point) for point in experiment.points]

    def _cells(self, point: Point) -> list[str]:
        row = self.comparison[point.name]

        def figure(name: str) -> str:
            return str(row.cost[name]) if row.cost is not None and name in row.cost else "–"

        measured = ["–"] * 4
        if point.reference is not None:
            hit, entropy = (self.gains(point.name, point.reference, by) for by in ("hit", "ne"))
            gain = self.gains(point.name, point.reference)
            measured = [point.reference, _text(hit), _text(entropy), worth(gain)]
        return [
            point.name,
            measured[0],
            as_text(row.metric),
            *measured[1:],
            spread_text(row.spread),
            *(figure(name) for name in ("flops", "memory", "latency_p50", "hyperparameters")),
            str(row.trained),
        ]

    def notes(self) -> list[str]:
        """Returns the notes that explain the tables."""
        return [
            "Gains are relative, in percent, with paired 95 % intervals over seeds and sessions; higher "
            f"is better. Verdicts and findings are based on {_MEASURES[self.gains.by]}.",
            "Of about twenty intervals, one is expected to exclude 0 by chance.",
        ]

    def conclusions(self) -> list[str]:
        """Returns findings and suggestions as sentences."""
        lines = [f"{one.experiment}: {one.text}" for one in self.findings]
        tried = [f"{name} ({', '.join(why)})" for name, why in self.suggestions().items()]
        return [*lines, "Try: " + (", ".join(tried) or "nothing beyond the baseline") + "."]

    def to_markdown(self) -> str:
        """Returns the report in Markdown."""
        lines = markdown_list(self.conclusions())
        for one in self.experiments:
            lines += ["", f"### {one.name}: {one.question}", "", *markdown_table(*self.table(one))]
        return "\n".join([*lines, "", *markdown_list(self.notes()), ""])

    def to_html(self) -> str:
        """Returns the report as a self-contained HTML page."""
        return page(self)

    def to_json(self) -> dict[str, Any]:
        """Returns the report as a JSON-serializable dict; undefined numbers are `None`."""
        found = []
        for one in self.experiments:
            points = [asdict(p) | {"gain": self._gain(p)} for p in one.points]
            found.append({"name": one.name, "question": one.question, "points": points})
        return finite(
            {
                "by": self.gains.by,
                "experiments": found,
                "findings": [asdict(one) for one in self.findings],
                "suggestions": self.suggestions(),
                "comparison": self.comparison.to_json(),
            }
        )

    def _gain(self, point: Point) -> dict[str, float] | None:
        return None if point.reference is None else asdict(self.gains(point.name, point.reference))

    def __str__(self) -> str:
        parts = [
            f"{one.name}: {one.question}\n{terminal_table(*self.table(one))}"
            for one in self.experiments
        ]
        return "\n".join([*parts, *self.conclusions(), *self.notes()])

    def write(self, out: Path) -> None:
        """Writes `learning.md`, `learning.html` and `learning.json`."""
        write_report(self, out, "learning")


def _text(gain: Interval) -> str:
    if math.isnan(gain.estimate):
        return "undefined"
    return f"{gain.estimate:+.2f} % [{gain.low:+.2f}, {gain.high:+.2f}]"
