"""HTML page of a comparison, with plots."""

import math
from typing import Any

import numpy as np

from kranking._report import bullet_list, heading, html_page, html_table, image, panels

_FRONTS, _CURVES = "Metric versus cost", "Training"


def page(report: Any) -> str:
    """Returns the HTML page of a `Comparison`."""
    title = f"{report.metric} of {report.task}, compared to {report.baseline}"
    parts = [
        html_table(*report.table()),
        bullet_list(report.notes()),
        heading(_FRONTS),
        image(_FRONTS, _fronts(report)),
        heading(_CURVES),
        image(_CURVES, _curves(report)),
    ]
    return html_page(title, parts)


def _fronts(report: Any):
    figure, axes = panels(2)
    for axis, (name, scale, label) in zip(
        axes,
        (("latency_p50", 1.0, "latency p50, ms"), ("memory", 2**20, "training memory, MiB")),
    ):
        points = [
            (row.cost[name].value / scale, row.metric, row.name)
            for row in report.rows
            if row.cost is not None and name in row.cost and not math.isnan(row.metric)
        ]
        for x, y, text in points:
            axis.plot(x, y, "o", color="C1" if text == report.baseline else "C0")
            axis.annotate(text, (x, y), xytext=(4, 4), textcoords="offset points", fontsize=8)
        front = pareto([(x, y) for x, y, _ in points])
        axis.step(*zip(*front), where="post", color="0.6", zorder=0) if front else None
        axis.set(xlabel=label, ylabel=f"{report.metric} of {report.task}")
    return figure


def pareto(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Returns the Pareto front of (cost, metric) points, ordered by cost.

    >>> pareto([(1.0, 0.1), (2.0, 0.3), (3.0, 0.2)])
    [(1.0, 0.1), (2.0, 0.3)]
    """
    front: list[tuple[float, float]] = []
    for x, y in sorted(points, key=lambda point: (point[0], -point[1])):
        if not front or y > front[-1][1]:
            front.append((x, y))
    return front


def _curves(report: Any):
    figure, axes = panels(2)
    for axis, key in zip(axes, ("loss", f"val_{report.task}_auc")):
        for row in report.rows:
            runs = [
                t["history"][key] for t in report.trials[row.name] if key in t.get("history", {})
            ]
            length = min(map(len, runs), default=0)  # early stopping differs between seeds
            if not length:
                continue
            values = np.array([[math.nan if v is None else v for v in r[:length]] for r in runs])
            epochs, mean = np.arange(1, length + 1), values.mean(0)
            axis.plot(epochs, mean, marker="." if length < 5 else "", label=row.name)
            axis.fill_between(epochs, values.min(0), values.max(0), alpha=0.15)
        axis.set(xlabel="epoch", ylabel=key)
        axis.xaxis.get_major_locator().set_params(integer=True)
    axes[0].legend(frameon=False, fontsize=8) if axes[0].lines else None
    return figure
