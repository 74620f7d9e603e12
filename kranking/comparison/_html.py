"""The report as one page: table, plots as inline pictures, no script, no other file."""

import base64
import html
import io
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

_STYLE = (
    "body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:75rem;padding:0 1rem}"
    "table{border-collapse:collapse;font-variant-numeric:tabular-nums}"
    "th,td{padding:.3rem .6rem;border-bottom:1px solid #ddd;text-align:left}"
    "img{max-width:100%}"
)


def page(report: Any) -> str:
    """Gives the page of a `Comparison`."""
    title = f"{report.metric} of {report.task}, against {report.baseline}"
    parts = [
        table(*report.table()),
        bullets(report.notes()),
        picture("Quality against cost", _fronts(report)),
        picture("Training", _curves(report)),
    ]
    return document(title, parts)


def document(title: str, parts: list[str]) -> str:
    """Gives a page of its own, with a heading and these parts."""
    title = html.escape(title)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style><h1>{title}</h1>{''.join(parts)}</html>\n"
    )


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Gives a table."""
    head = "".join(f"<th>{html.escape(text)}</th>" for text in headings)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def bullets(lines: Sequence[str]) -> str:
    """Gives a list."""
    return "<ul>" + "".join(f"<li>{html.escape(line)}</li>" for line in lines) + "</ul>"


def picture(title: str, figure: Any) -> str:
    """Gives a figure as a picture within the page, under its heading."""
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=110)
    text = base64.b64encode(data.getvalue()).decode("ascii")
    title = html.escape(title)
    return f'<h2>{title}</h2><img alt="{title}" src="data:image/png;base64,{text}">'


def _fronts(report: Any):
    figure, axes = axes_of(2)
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
    """Gives the points that no other beats in both: cheaper first, better later.

    >>> pareto([(1.0, 0.1), (2.0, 0.3), (3.0, 0.2)])
    [(1.0, 0.1), (2.0, 0.3)]
    """
    front: list[tuple[float, float]] = []
    for x, y in sorted(points, key=lambda point: (point[0], -point[1])):
        if not front or y > front[-1][1]:
            front.append((x, y))
    return front


def _curves(report: Any):
    figure, axes = axes_of(2)
    for axis, key in zip(axes, ("loss", f"val_{report.task}_auc")):
        for row in report.rows:
            runs = [
                t["history"][key] for t in report.trials[row.name] if key in t.get("history", {})
            ]
            length = min(map(len, runs), default=0)  # a seed may have stopped earlier
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


def axes_of(count: int):
    """Gives a figure and its axes, side by side."""
    # Not pyplot: a report is no reason to open windows or to keep figures of the caller's session.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.5 * count, 3.8), layout="constrained")
    axes = figure.subplots(1, count, squeeze=False)[0]
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
    return figure, axes
