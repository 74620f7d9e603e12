"""What features are worth to a model: as a table, Markdown, JSON and a plot."""

import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kranking._core import finite
from kranking._report import markdown_list, markdown_table, terminal_table, write_files
from kranking.comparison._importance_plot import draw
from kranking.comparison._intervals import Interval
from kranking.metrics import as_text


@dataclass(frozen=True)
class Importance:
    """A feature, or features that move together, and what permuting it does.

    Args:
        name: Its name, or the group's.
        features: The features in it.
        changes: Rise of the normalised entropy, by task, with its interval.
        varies: Whether its model inputs differ between rows at all.

    >>> Importance("age", ("age",), {"save": Interval(0.01, 0.005, 0.015)}, True).changes["save"].low
    0.005
    """

    name: str
    features: tuple[str, ...]
    changes: Mapping[str, Interval]
    varies: bool


@dataclass(frozen=True)
class FeatureImportance:
    """The report of `feature_importance`.

    Args:
        rows: An `Importance` for each feature, in the order of the declarations.
        normalized_entropy: That of the rows as they are, by task.
        num_rows: Rows that were scored.
        num_sessions: Sessions that they form.
        repeats: Permutations of each feature.

    >>> row = Importance("age", ("age",), {"save": Interval(0.01, 0.005, 0.015)}, True)
    >>> FeatureImportance([row], {"save": 0.9}, 100, 20, 5).ranks("save")
    {'age': (1, 1, 1)}
    """

    rows: list[Importance]
    normalized_entropy: Mapping[str, float]
    num_rows: int
    num_sessions: int
    repeats: int

    def __getitem__(self, name: str) -> Importance:
        for row in self.rows:
            if row.name == name:
                return row
        raise KeyError(f"This report holds {[r.name for r in self.rows]}. Received: {name!r}")

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the tasks, the main one first."""
        return tuple(self.normalized_entropy)

    def ranked(self, task: str | None = None) -> list[Importance]:
        """Gives the rows by falling change of a task, `None` the first; what is undefined comes last."""
        task = self._known(task)
        return sorted(self.rows, key=lambda row: _last_if_nan(-row.changes[task].estimate))

    def ranks(self, task: str | None = None) -> dict[str, tuple[int, int, int]]:
        """Gives each feature's rank, 1 the most important, then the best and the worst it may have.

        A feature is surely above another if its interval is. One whose change is undefined is left out.
        """
        task = self._known(task)
        ranked = [row for row in self.ranked(task) if not math.isnan(row.changes[task].estimate)]
        found = [row.changes[task] for row in ranked]
        return {
            row.name: (
                place,
                1 + sum(other.low > own.high for other in found),
                len(found) - sum(other.high < own.low for other in found),
            )
            for place, (row, own) in enumerate(zip(ranked, found), start=1)
        }

    def table(self, task: str | None = None) -> tuple[list[str], list[list[str]]]:
        """Gives headings and cells: a feature per line, ranked by a task."""
        task = self._known(task)
        others = [name for name in self.tasks if name != task]
        headings = ["rank", "between", "feature", f"NE change {task}", "95 % interval", "worth"]
        headings += [f"NE change {name} (rank)" for name in others]
        places = {name: self.ranks(name) for name in self.tasks}
        rows = []
        for row in self.ranked(task):
            change = row.changes[task]
            rank, best, worst = places[task].get(row.name, ("–", "–", "–"))
            between = f"{best}–{worst}" if best != worst else str(best)
            cells = [str(rank), between, row.name, as_text(change.estimate, "+.5f")]
            cells += [f"[{as_text(change.low, '+.5f')}, {as_text(change.high, '+.5f')}]"]
            cells.append(_worth(row, change))
            for name in others:
                text = as_text(row.changes[name].estimate, "+.5f")
                place = places[name].get(row.name)
                cells.append(f"{text} ({place[0]})" if place else text)
            rows.append(cells)
        return headings, rows

    def notes(self) -> list[str]:
        """Gives what a reader has to know beside the table."""
        entropies = ", ".join(f"{t} {as_text(v)}" for t, v in self.normalized_entropy.items())
        lines = [
            f"NE as the rows are: {entropies}; {self.num_rows:,} rows in {self.num_sessions:,} sessions.",
            f"NE change: how much NE rises when the feature is permuted between rows, mean of "
            f"{self.repeats} permutations, with a 95 % interval over permutations and sessions. Between: "
            "the ranks that the intervals leave open.",
            "It says what this model uses: of two features that say the same, either may look worthless.",
        ]
        still = [row.name for row in self.rows if not row.varies]
        if still:
            lines.append(
                f"The same model input in every row, so nothing to permute: {', '.join(still)}."
            )
        undefined = [task for task, value in self.normalized_entropy.items() if math.isnan(value)]
        lines += [f"NE of {task} is undefined: its rows have one class only." for task in undefined]
        return lines

    def to_markdown(self, task: str | None = None) -> str:
        """Gives the table, ranked by a task, and its notes in Markdown."""
        lines = markdown_table(*self.table(task))
        return "\n".join([*lines, "", *markdown_list(self.notes()), ""])

    def to_json(self) -> dict[str, Any]:
        """Gives the report as plain values; what is undefined is null."""
        ranks = {task: self.ranks(task) for task in self.tasks}
        rows = [
            asdict(row) | {"ranks": {task: found.get(row.name) for task, found in ranks.items()}}
            for row in self.rows
        ]
        return finite(asdict(self) | {"rows": rows})

    def plot(self, path: str | os.PathLike, top: int = 20) -> None:
        """Draws the changes of the most important features, a panel per task, into a picture file."""
        draw(self, path, top)

    def __str__(self) -> str:
        return terminal_table(*self.table()) + "\n".join(self.notes())

    def write(self, out: str | os.PathLike) -> None:
        """Writes `importance.md`, `importance.json` and `importance.png` into a folder."""
        out = Path(out)
        files = {"importance.md": self.to_markdown(), "importance.json": self.to_json()}
        write_files(out, files)
        self.plot(out / "importance.png")

    def _known(self, task: str | None) -> str:
        task = self.tasks[0] if task is None else task
        if task not in self.tasks:
            raise ValueError(f"`task` must be one of {list(self.tasks)}. Received: task={task!r}")
        return task


def _worth(row: Importance, change: Interval) -> str:
    if math.isnan(change.low):
        return "undefined"
    if not row.varies:
        return "never varies"
    if change.inside_noise:
        return "inside noise"
    return "used" if change.estimate > 0 else "misleads"


def _last_if_nan(value: float) -> float:
    return math.inf if math.isnan(value) else value
