"""Plot of recurring training."""

import os
from typing import Any

from kranking._report import panels, save_figure


def draw(report: Any, path: str | os.PathLike) -> None:
    """Plots NE and calibration of the main task over the periods, with intervals as bands."""
    task = report.tasks[0]
    figure, axes = panels(2, (10, 3.8))
    places = range(len(report.periods))
    for panel, ending in zip(axes, ("ne", "calibration")):
        for label in ("recurring", "frozen"):
            found = [getattr(period, label)[f"{task}_{ending}"] for period in report.periods]
            panel.plot(places, [f.estimate for f in found], marker=".", label=label)
            panel.fill_between(places, [f.low for f in found], [f.high for f in found], alpha=0.15)
        panel.set(
            ylabel=f"{ending.replace('ne', 'NE')} of {task}",
            xlabel="period, tested before training",
        )
        panel.set_xticks(
            places, [period.name for period in report.periods], rotation=45, ha="right"
        )
        panel.legend(frameon=False)
    axes[1].axhline(1, color="0.6", linewidth=0.8)
    save_figure(figure, path)
