"""Recurring training as a picture."""

import os
from typing import Any


def draw(report: Any, path: str | os.PathLike) -> None:
    """Draws NE and calibration of a `RecurringReport`'s main task over the periods, with bands."""
    # Not pyplot: a report is no reason to open windows or to keep figures of the caller's session.
    from matplotlib.figure import Figure

    task = report.tasks[0]
    figure = Figure(figsize=(10, 3.8), layout="constrained")
    places = range(len(report.periods))
    for panel, ending in zip(figure.subplots(1, 2), ("ne", "calibration")):
        for label in ("recurring", "frozen"):
            found = [getattr(period, label)[f"{task}_{ending}"] for period in report.periods]
            panel.plot(places, [f.estimate for f in found], marker=".", label=label)
            panel.fill_between(places, [f.low for f in found], [f.high for f in found], alpha=0.15)
        panel.set(
            ylabel=f"{ending.replace('ne', 'NE')} of {task}", xlabel="tested before trained on"
        )
        panel.set_xticks(
            places, [period.name for period in report.periods], rotation=45, ha="right"
        )
        panel.spines[["top", "right"]].set_visible(False)
        panel.legend(frameon=False)
    figure.axes[1].axhline(1, color="0.6", linewidth=0.8)
    figure.savefig(path, dpi=110)
