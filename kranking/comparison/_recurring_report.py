"""Results of recurring training, with reports as Markdown, JSON and a plot."""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from kranking._core import finite
from kranking._paths import as_path
from kranking._report import markdown_list, markdown_table, terminal_table, write_files
from kranking.comparison._intervals import Interval, paired_difference, worth
from kranking.comparison._recurring_plot import draw
from kranking.metrics import as_text

_FROZEN = "frozen_"


@dataclass(frozen=True)
class Period:
    """Metrics of a period before training on it, named `save_ne` and so on.

    Args:
        name: Name of the period.
        num_rows: Number of rows.
        num_sessions: Number of sessions.
        recurring: Metrics of the model trained on all earlier periods, with intervals over sessions and
            seeds, except for AUC.
        frozen: Metrics of the model trained on the first period only.
        gain: Difference `recurring - frozen`, paired.

    >>> Period("monday", 9, 3, {"save_ne": Interval(0.9, 0.8, 1.0)}, {}, {}).recurring["save_ne"].high
    1.0
    """

    name: str
    num_rows: int
    num_sessions: int
    recurring: Mapping[str, Interval]
    frozen: Mapping[str, Interval]
    gain: Mapping[str, Interval]


def period_of(name: str, runs: Sequence[Mapping[str, np.ndarray]]) -> Period:
    """Creates a period from the values per session of each seed."""
    figures = [n for n in runs[0] if n not in ("rows", "sessions") and not n.startswith(_FROZEN)]
    recurring, frozen, gain = {}, {}, {}
    for figure in figures:
        now = np.stack([run[figure] for run in runs])
        then = np.stack([run[_FROZEN + figure] for run in runs])
        recurring[figure] = _estimate(now)
        frozen[figure] = _estimate(then)
        gain[figure] = _estimate(now - then)
    return Period(name, int(runs[0]["rows"]), int(runs[0]["sessions"]), recurring, frozen, gain)


def _estimate(values: np.ndarray) -> Interval:
    if values.shape[1] < 2:
        return Interval(float(values.mean()), math.nan, math.nan)
    return paired_difference(values, np.zeros_like(values))


@dataclass(frozen=True)
class RecurringReport:
    """The result of `recurring_training`.

    Args:
        periods: One `Period` per tested period, in chronological order.
        first: Name of the first period, which is not tested.
        seeds: Number of trainings.

    >>> ne = {"save_ne": Interval(0.9, 0.85, 0.95)}
    >>> RecurringReport([Period("monday", 9, 3, ne, ne, ne)], "sunday", 1).drift("save_ne")
    [Interval(estimate=0.0, low=0.0, high=0.0)]
    """

    periods: list[Period]
    first: str
    seeds: int

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the tasks, the main one first."""
        ending = "_ne"
        names = (n for n in self.periods[0].recurring if n.endswith(ending))
        return tuple(name.removesuffix(ending) for name in names)

    def drift(self, figure: str, frozen: bool = False) -> list[Interval]:
        """Returns the difference of a metric from its value in the first tested period, for each period.

        Periods have independent rows, so the half-width of the interval is `√(h² + h1²)`, from the
        half-widths `h` and `h1` of both periods.
        """
        kept = [(p.frozen if frozen else p.recurring)[figure] for p in self.periods]
        return [Interval(0.0, 0.0, 0.0), *(_apart(found, kept[0]) for found in kept[1:])]

    def table(self, task: str | None = None) -> tuple[list[str], list[list[str]]]:
        """Returns headings and cells, one row per period, for a task (the main one by default)."""
        task = self._known(task)
        ne, calibration = f"{task}_ne", f"{task}_calibration"
        headings = ["period", "rows", f"NE {task}", "frozen", "difference", "verdict"]
        headings += ["NE drift", "NE drift, frozen", "calibration", "calibration, frozen"]
        drifts = zip(self.drift(ne), self.drift(ne, frozen=True))
        rows = []
        for period, (own, left) in zip(self.periods, drifts):
            cells = [period.name, f"{period.num_rows:,}"]
            cells += [as_text(arm[ne].estimate) for arm in (period.recurring, period.frozen)]
            cells += [_text(period.gain[ne], "+.4f"), worth(_less(period.gain[ne]))]
            same = period is self.periods[0]
            cells += ["–" if same else _text(drift, "+.4f") for drift in (own, left)]
            cells += [_text(arm[calibration], ".3f") for arm in (period.recurring, period.frozen)]
            rows.append(cells)
        return headings, rows

    def notes(self) -> list[str]:
        """Returns the notes that explain the table."""
        return [
            f"Each period is tested before training on it; *frozen* was trained on {self.first} only. "
            f"{self.seeds} training{'s' if self.seeds > 1 else ''}; 95 % intervals over sessions"
            + (
                " and seeds, paired."
                if self.seeds > 1
                else ", paired; variation over seeds is not included."
            ),
            "On the first tested period both are the same model. Later differences are due to both fresher "
            "rows and more rows; the effect of freshness alone is not separated.",
            "Drift: NE minus the NE of the first tested period. NE is relative to the rate of the action "
            "in the same period, but periods differ in other ways too: a drift of both models is a "
            "property of the period, a drift of the frozen model alone is due to its age.",
            "Calibration: ratio of expected to observed actions; 1 is ideal.",
        ]

    def to_markdown(self, task: str | None = None) -> str:
        """Returns the table of a task with its notes in Markdown."""
        lines = markdown_table(*self.table(task))
        return "\n".join([*lines, "", *markdown_list(self.notes()), ""])

    def to_json(self) -> dict[str, Any]:
        """Returns the report as a JSON-serializable dict; undefined numbers are `None`."""
        figures = self.periods[0].recurring
        drift = {
            arm: {n: [asdict(i) for i in self.drift(n, arm == "frozen")] for n in figures}
            for arm in ("recurring", "frozen")
        }
        return finite(asdict(self) | {"drift": drift})

    def plot(self, path: str | os.PathLike) -> None:
        """Plots NE and calibration of the main task over the periods to an image file."""
        draw(self, path)

    def __str__(self) -> str:
        return terminal_table(*self.table()) + "\n".join(self.notes())

    def write(self, out: str | os.PathLike) -> None:
        """Writes `recurring.md`, `recurring.json` and `recurring.png` into a folder."""
        out = as_path("out", out)
        tables = [f"## {task}\n\n{self.to_markdown(task)}" for task in self.tasks]
        files = {"recurring.md": "\n".join(tables), "recurring.json": self.to_json()}
        write_files(out, files)
        self.plot(out / "recurring.png")

    def _known(self, task: str | None) -> str:
        task = self.tasks[0] if task is None else task
        if task not in self.tasks:
            raise ValueError(f"`task` must be one of {list(self.tasks)}. Received: task={task!r}")
        return task


def _less(found: Interval) -> Interval:
    """Negates a difference in a metric where lower is better."""
    return Interval(-found.estimate, -found.high, -found.low)


def _apart(one: Interval, other: Interval) -> Interval:
    estimate = one.estimate - other.estimate
    half = math.hypot(*((i.high - i.low) / 2 for i in (one, other)))
    return Interval(estimate, estimate - half, estimate + half)


def _text(found: Interval, spec: str) -> str:
    if math.isnan(found.low):
        return as_text(found.estimate, spec)
    return f"{found.estimate:{spec}} [{found.low:{spec}}, {found.high:{spec}}]"
