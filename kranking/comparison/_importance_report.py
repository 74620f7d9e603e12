"""Results of feature importance, with reports as Markdown, JSON and a plot."""

import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from kranking._core import finite
from kranking._paths import as_path
from kranking._report import markdown_list, markdown_table, terminal_table, write_files
from kranking.comparison._importance_plot import draw
from kranking.comparison._intervals import Interval
from kranking.metrics import as_text


@dataclass(frozen=True)
class Importance:
    """The importance of a feature, or of features permuted together.

    Args:
        name: Name of the feature or group.
        features: Names of the features that are permuted together.
        changes: Increase in normalized entropy by task, with its interval.
        varies: Whether the model inputs differ between rows.

    >>> Importance("age", ("age",), {"save": Interval(0.01, 0.005, 0.015)}, True).changes["save"].low
    0.005
    """

    name: str
    features: tuple[str, ...]
    changes: Mapping[str, Interval]
    varies: bool


@dataclass(frozen=True)
class FeatureImportance:
    """The result of `feature_importance`.

    Args:
        rows: One `Importance` per feature, in the order of the declarations.
        normalized_entropy: Normalized entropy without permutation, by task.
        num_rows: Number of scored rows.
        num_sessions: Number of sessions.
        repeats: Number of permutations per feature.

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
        raise KeyError(f"The name must be one of {[r.name for r in self.rows]}. Received: {name!r}")

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the tasks, the main one first."""
        return tuple(self.normalized_entropy)

    def ranked(self, task: str | None = None) -> list[Importance]:
        """Returns the rows by decreasing change of a task, the first by default; undefined ones last."""
        task = self._known(task)
        return sorted(self.rows, key=lambda row: _last_if_nan(-row.changes[task].estimate))

    def ranks(self, task: str | None = None) -> dict[str, tuple[int, int, int]]:
        """Returns the rank of each feature, 1 for the most important, with its best and worst rank.

        The best and worst ranks count the features whose intervals are entirely above or below. Features
        with an undefined change are omitted.
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
        """Returns headings and cells, with one row per feature, ranked by a task."""
        task = self._known(task)
        others = [name for name in self.tasks if name != task]
        headings = [
            "rank",
            "rank range",
            "feature",
            f"NE change {task}",
            "95 % interval",
            "verdict",
        ]
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
        """Returns the notes that explain the table."""
        entropies = ", ".join(f"{t} {as_text(v)}" for t, v in self.normalized_entropy.items())
        lines = [
            f"NE without permutation: {entropies}; {self.num_rows:,} rows in {self.num_sessions:,} "
            "sessions.",
            f"NE change: increase in NE when the feature is permuted between rows, mean of "
            f"{self.repeats} permutations, with a 95 % interval over permutations and sessions. Rank "
            "range: the ranks that the intervals do not exclude.",
            "The changes show what this model uses: of two redundant features, either may appear useless.",
        ]
        still = [row.name for row in self.rows if not row.varies]
        if still:
            lines.append(
                f"Constant features, with the same model input in every row: {', '.join(still)}."
            )
        undefined = [task for task, value in self.normalized_entropy.items() if math.isnan(value)]
        lines += [f"NE of {task} is undefined: all labels are of one class." for task in undefined]
        return lines

    def to_markdown(self, task: str | None = None) -> str:
        """Returns the table, ranked by a task, with its notes in Markdown."""
        lines = markdown_table(*self.table(task))
        return "\n".join([*lines, "", *markdown_list(self.notes()), ""])

    def to_json(self) -> dict[str, Any]:
        """Returns the report as a JSON-serializable dict; undefined numbers are `None`."""
        ranks = {task: self.ranks(task) for task in self.tasks}
        rows = [
            asdict(row) | {"ranks": {task: found.get(row.name) for task, found in ranks.items()}}
            for row in self.rows
        ]
        return finite(asdict(self) | {"rows": rows})

    def plot(self, path: str | os.PathLike, top: int = 20) -> None:
        """Plots the changes of the `top` features, one panel per task, to an image file."""
        draw(self, path, top)

    def __str__(self) -> str:
        return terminal_table(*self.table()) + "\n".join(self.notes())

    def write(self, out: str | os.PathLike) -> None:
        """Writes `importance.md`, `importance.json` and `importance.png` into a folder."""
        out = as_path("out", out)
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
        return "constant"
    if change.inside_noise:
        return "inside noise"
    return "used" if change.estimate > 0 else "misleads"


def _last_if_nan(value: float) -> float:
    return math.inf if math.isnan(value) else value
