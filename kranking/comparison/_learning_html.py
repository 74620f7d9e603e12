"""The page of learning experiments."""

import html
import math
from typing import Any

from kranking.comparison._experiments import Experiment
from kranking.comparison._html import axes_of, bullets, document, picture, table


def page(report: Any) -> str:
    """Gives the page of a `LearningReport`."""
    parts = [bullets(report.conclusions())]
    for one in report.experiments:
        parts += [picture(one.question, _figure(report, one)), table(*report.table(one))]
    title = f"Learning experiments: {report.comparison.task}"
    return document(title, [*parts, "<p>" + html.escape(" ".join(report.notes())) + "</p>"])


def _figure(report: Any, experiment: Experiment) -> Any:
    """Draws gains with their intervals; where a model is only a reference, its gain is 0."""
    figure, (axis,) = axes_of(1)
    for series in dict.fromkeys(point.series for point in experiment.points):
        places, gains = [], []
        for point in experiment.points:
            cost = report.comparison[point.name].cost
            if point.series != series or cost is None:
                continue
            gain = report.gains(point.name, point.reference) if point.reference else None
            places.append(cost["flops"].value if point.x is None else point.x)
            values = (gain.estimate, gain.low, gain.high) if gain else (0.0, 0.0, 0.0)
            gains.append([0.0 if math.isnan(v) else v for v in values])
        around = [
            [max(0.0, e - low) for e, low, _ in gains],
            [max(0.0, h - e) for e, _, h in gains],
        ]
        axis.errorbar(places, [e for e, _, _ in gains], around, fmt="o-", capsize=3, label=series)
    axis.axhline(0, color="0.6", linewidth=0.8, zorder=0)
    axis.set(xlabel=experiment.axis, ylabel="gain, %")
    axis.legend(frameon=False)
    return figure
