"""HTML page of learning experiments."""

import math
from typing import Any

from kranking._report import (
    bullet_list,
    heading,
    html_page,
    html_table,
    image,
    panels,
    paragraph,
)
from kranking.comparison._experiments import Experiment


def page(report: Any) -> str:
    """Returns the HTML page of a `LearningReport`."""
    parts = [bullet_list(report.conclusions())]
    for one in report.experiments:
        parts += [heading(one.question), image(one.question, _figure(report, one))]
        parts.append(html_table(*report.table(one)))
    title = f"Learning experiments: {report.comparison.task}"
    return html_page(title, [*parts, paragraph(" ".join(report.notes()))])


def _figure(report: Any, experiment: Experiment) -> Any:
    """Plots gains with intervals; models that are only references have gain 0."""
    figure, (axis,) = panels(1)
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
