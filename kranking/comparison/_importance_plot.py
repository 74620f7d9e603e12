"""Plot of feature importances."""

import os
from typing import Any

from kranking._report import panels, save_figure


def draw(report: Any, path: str | os.PathLike, top: int) -> None:
    """Plots the `top` features of the first task with intervals, in one panel per task."""
    rows = report.ranked()[:top]
    size = (3.2 * len(report.tasks) + 1.8, 0.24 * len(rows) + 1.2)
    figure, axes = panels(len(report.tasks), size, sharey=True)
    places = range(len(rows))
    for panel, task in zip(axes, report.tasks):
        changes = [row.changes[task] for row in rows]
        panel.barh(places, [c.estimate for c in changes], color="C0", height=0.7)
        for place, change in zip(places, changes):
            panel.plot([change.low, change.high], [place, place], color="0.2", linewidth=1)
        panel.axvline(0, color="0.6", linewidth=0.8)
        panel.set(xlabel="increase in NE when permuted", title=task)
    axes[0].set_yticks(places, [row.name for row in rows])
    axes[0].invert_yaxis()
    save_figure(figure, path)
