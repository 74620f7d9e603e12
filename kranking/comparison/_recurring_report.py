"""How a model that trains on fares against one that does not: table, Markdown, JSON and a plot."""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kranking._core import finite
from kranking._report import markdown_list, markdown_table, terminal_table, write_files
from kranking.comparison._intervals import Interval, paired_difference, worth
from kranking.comparison._recurring_plot import draw
from kranking.metrics import as_text

_FROZEN = "frozen_"


@dataclass(frozen=True)
class Period:
    """What was found on a period before it was trained on. Figures are called `save_ne` and so on.

    Args:
        name: Its name.
        num_rows: Its rows.
        num_sessions: Sessions that they form.
        recurring: Figures of the model trained on all periods before, with intervals over sessions and
            seeds; AUC has none.
        frozen: Those of the model trained on the first period only.
        gain: The first minus the second, paired.

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
    """Makes a period of the values per session that each seed has left."""
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
    """The report of `recurring_training`.

    Args:
        periods: A `Period` for each one tested, in the order of time.
        first: Name of the first period, which was only trained on.
        seeds: Trainings.

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
        """Gives how far a figure is from that of the first tested period, period by period.

        Rows of two periods are others, so the interval is `√(h² + h1²)` wide of both half widths.
        """
        kept = [(p.frozen if frozen else p.recurring)[figure] for p in self.periods]
        return [Interval(0.0, 0.0, 0.0), *(_apart(found, kept[0]) for found in kept[1:])]

    def table(self, task: str | None = None) -> tuple[list[str], list[list[str]]]:
        """Gives headings and cells: a period per line, figures of a task, `None` the main one."""
        task = self._known(task)
        ne, calibration = f"{task}_ne", f"{task}_calibration"
        headings = ["period", "rows", f"NE {task}", "frozen", "difference", "worth"]
        headings += ["drift of NE", "frozen's drift", "calibration", "frozen's calibration"]
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
        """Gives what a reader has to know beside the table."""
        return [
            f"Each period is tested before it is trained on; *frozen* was trained on {self.first} only. "
            f"{self.seeds} training{'s' if self.seeds > 1 else ''}; 95 % intervals over sessions"
            + (
                " and seeds, paired."
                if self.seeds > 1
                else ", paired; another seed is not in them."
            ),
            "On the first tested period both are one model. The difference later is that of fresher rows "
            "and of more rows: what freshness alone gives, it does not tell.",
            "Drift: NE minus that of the first tested period. NE is relative to each period's own rate of "
            "the action, yet periods differ in more than that: a drift of both models alike is the "
            "period's, one of the frozen model alone is age.",
            "Calibration: expected over observed actions, 1 is ideal.",
        ]

    def to_markdown(self, task: str | None = None) -> str:
        """Gives the table of a task and its notes in Markdown."""
        lines = markdown_table(*self.table(task))
        return "\n".join([*lines, "", *markdown_list(self.notes()), ""])

    def to_json(self) -> dict[str, Any]:
        """Gives the report as plain values; what is undefined is null."""
        figures = self.periods[0].recurring
        drift = {
            arm: {n: [asdict(i) for i in self.drift(n, arm == "frozen")] for n in figures}
            for arm in ("recurring", "frozen")
        }
        return finite(asdict(self) | {"drift": drift})

    def plot(self, path: str | os.PathLike) -> None:
        """Draws NE and calibration of the main task over the periods into a picture file."""
        draw(self, path)

    def __str__(self) -> str:
        return terminal_table(*self.table()) + "\n".join(self.notes())

    def write(self, out: str | os.PathLike) -> None:
        """Writes `recurring.md`, `recurring.json` and `recurring.png` into a folder."""
        out = Path(out)
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
    """Turns a difference round, where less is better."""
    return Interval(-found.estimate, -found.high, -found.low)


def _apart(one: Interval, other: Interval) -> Interval:
    estimate = one.estimate - other.estimate
    half = math.hypot(*((i.high - i.low) / 2 for i in (one, other)))
    return Interval(estimate, estimate - half, estimate + half)


def _text(found: Interval, spec: str) -> str:
    if math.isnan(found.low):
        return as_text(found.estimate, spec)
    return f"{found.estimate:{spec}} [{found.low:{spec}}, {found.high:{spec}}]"
