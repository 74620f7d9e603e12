"""The report of a search in Markdown and HTML."""

import math
from collections import Counter
from typing import Any

from kranking._report import (
    bullet_list,
    heading,
    html_page,
    html_table,
    image,
    markdown_list,
    markdown_table,
    panels,
)
from kranking.search._cost_texts import cost_texts

_MOST = 20  # maximum number of rows in a table

Section = tuple[str, list[str], list[list[str]]]


def sections(result: Any) -> list[Section]:
    """Returns the tables as titles, headings and cells."""
    name = result.objective.name.removeprefix("val_")
    found = [_feasible(result, name)]
    others = [
        [o.name, o.status.lower(), o.reason, _as_text(o.values)]
        for o in result.found
        if not o.feasible
    ]
    if others:
        found.append(("Excluded trials", ["trial", "status", "reason", "configuration"], others))
    if result.rejected:
        found.append(
            (
                "Rejected before training",
                ["limit", "draws", "nearest to the limit"],
                _rejection_rows(result),
            )
        )
    moved = [
        [e.parameter, str(e.trials), f"{100 * e.explained:.0f} %", f"{e.chance:.3f}", _means(e)]
        for e in result.effects()[:_MOST]
    ]
    headings = ["parameter", "trials", "explained", "p-value", f"mean {name}"]
    if moved:
        found.append(("Effect of each parameter", headings, moved))
    return found


def _feasible(result: Any, name: str) -> Section:
    """Returns the table of the best trials within the budget, with the baseline."""
    costs = [cost_texts(result.budget, one.cost) for one in result.feasible]
    names = list(dict.fromkeys(cost for texts in costs for cost in texts))
    front, ties = ({o.name for o in group} for group in (result.front(), result.ties()))
    rows = []
    if result.baseline is not None:
        base = result.baseline
        cells = [f"baseline: {base['name']}", f"{base['metric']:.4f}"]
        rows.append([*cells, *[""] * (len(names) + 2)])
    for one, texts in list(zip(result.feasible, costs))[:_MOST]:
        groups = (("front", front), ("tie with the best", ties))
        marks = [word for word, group in groups if one.name in group]
        cells = [f"{one.metric:.4f}", *(texts.get(cost, "–") for cost in names)]
        rows.append([one.name, *cells, ", ".join(marks), _as_text(one.values)])
    return "Trials within the budget", ["trial", name, *names, "", "configuration"], rows


def notes(result: Any) -> list[str]:
    """Returns the notes that precede the tables."""
    drawn = len(result.found) + len(result.rejected)
    lines = [
        f"{len(result.trained)} trials completed, {100 * result.feasible_share:.0f} % of them within "
        f"the budget; {drawn:,} configurations were drawn, {len(result.rejected):,} of them rejected.",
        f"The oracle used {100 * result.oracle_time_share:.2f} % of the search time.",
    ]
    if result.used_up:
        lines.append(used_up_note(result))
    if math.isnan(result.noise):
        lines.append("The noise of the metric was not measured: set a baseline or more executions.")
    else:
        lines.append(
            f"The standard deviation of the metric between seeds is {result.noise:.4f}; trials that tie "
            f"with the best: {len(result.ties())}. The best of many trials is biased upward by chance."
        )
    lines.append(
        "*Explained*: fraction of the variance between trials; *p-value*: how often permuted metrics "
        "explain as much. Parameters are analyzed one at a time."
    )
    return lines


def used_up_note(result: Any) -> str:
    """Returns why a search ended before its last trial."""
    count = len({tuple(sorted(_parameters(one).items())) for one in result.found})
    return (
        f"The space is used up after {len(result.found)} trials of {count} configurations: no other one "
        "within the budget was found."
    )


def _parameters(one: Any) -> dict[str, Any]:
    """Returns the values of a trial without those of Hyperband, which trains one several times."""
    return {name: value for name, value in one.values.items() if not name.startswith("tuner/")}


def markdown(result: Any) -> str:
    """Returns the report in Markdown."""
    lines = [f"# {_title(result)}", "", *markdown_list(notes(result)), ""]
    for title, headings, rows in sections(result):
        lines += [f"## {title}", "", *markdown_table(headings, rows), ""]
    return "\n".join(lines)


def page(result: Any) -> str:
    """Returns the report as a self-contained HTML page."""
    parts = [bullet_list(notes(result)), image("Metric versus cost", _front(result))]
    for title, headings, rows in sections(result):
        parts += [heading(title), html_table(headings, rows)]
    return html_page(_title(result), parts)


def _title(result: Any) -> str:
    limits = ", ".join(f"{name} {limit}" for name, limit in result.budget.to_json().items())
    return f"Search for {result.objective.name.removeprefix('val_')} within {limits or 'no limits'}"


def _rejection_rows(result: Any) -> list[list[str]]:
    counts = Counter(one.limit for one in result.rejected)
    return [
        [
            name,
            f"{count:,}",
            min((o for o in result.rejected if o.limit == name), key=lambda o: o.excess).reason,
        ]
        for name, count in counts.most_common()
    ]


def _means(effect: Any) -> str:
    return ", ".join(f"{value}: {mean:.4f}" for value, mean in sorted(effect.means.items()))


def _as_text(values: Any) -> str:
    return ", ".join(
        f"{n}={v:.3g}" if isinstance(v, float) else f"{n}={v}" for n, v in values.items()
    )


def _front(result: Any) -> Any:
    figure, axes = panels(2)
    names = (("memory", 2**20, "training memory, MiB"), ("latency_p50", 1.0, "latency p50, ms"))
    front = {one.name for one in result.front()}
    for axis, (name, scale, label) in zip(axes, names):
        for one in result.feasible:
            if name in one.cost:
                color = "C1" if one.name in front else "C0"
                axis.plot(one.cost[name].value / scale, one.metric, "o", color=color)
        axis.set(xlabel=label, ylabel=result.objective.name.removeprefix("val_"))
        if result.baseline is not None:
            axis.axhline(result.baseline["metric"], color="0.6", linewidth=1, zorder=0)
    return figure
