"""Every report of the package: a name with a `|`, a line break or markup breaks none of its tables."""

import html
import math
from types import SimpleNamespace

import pytest

from kranking.budget import Budget, LayerTable
from kranking.comparison import (
    Comparison,
    FeatureImportance,
    Importance,
    Interval,
    LearningReport,
    Period,
    RecurringReport,
    Row,
)
from kranking.comparison._experiments import Experiment, Point
from kranking.search import SearchResult
from kranking.search._found import Found
from kranking.search._objective import Objective
from kranking.search._rejection import Rejection

pytestmark = pytest.mark.once

NAME = "a|b [/bold] <i>"
REASON = f"{NAME}\nsecond line"
UNDEFINED = Interval(math.nan, math.nan, math.nan)


def comparison():
    row = Row(
        NAME,
        metric=math.nan,
        difference=None,
        entropy=None,
        figures={},
        means={},
        spread=UNDEFINED,
        wider=math.nan,
        cost=None,
        samples_per_second=math.nan,
        trained=0,
        failures=[REASON],
        not_served=REASON,
        positives=0,
    )
    return Comparison([row], NAME, Budget(memory="1 GiB"), "hit@3", NAME, {NAME: []})


def learning():
    points = (Point(NAME, ("mlp", {}), None, 0, NAME), Point(NAME, ("mlp", {}), NAME, 1, NAME))
    gains = type("NoGains", (), {"__call__": lambda *_: UNDEFINED, "by": "hit"})()
    gains.comparison = comparison()
    return LearningReport([Experiment(NAME, NAME, "axis", points)], gains)


def importance():
    changes = {task: Interval(0.1, 0.0, 0.2) for task in (NAME, "save")}
    return FeatureImportance(
        [Importance(NAME, (NAME,), changes, False)], {NAME: 0.9, "save": 0.9}, 9, 3, 2
    )


def recurring():
    figures = {f"{NAME}_{name}": Interval(1.0, 0.9, 1.1) for name in ("ne", "calibration")}
    return RecurringReport([Period(NAME, 9, 3, figures, figures, figures)], NAME, 1)


def search():
    values = {NAME: NAME}
    trial = Found("0", values, "FAILED", math.nan, {}, None, False, REASON)
    rejected = Rejection(values, NAME, 1.0, 2.0, "", REASON)
    return SearchResult(
        found=[trial],
        rejected=[rejected],
        budget=Budget(),
        objective=Objective(f"val_{NAME}_auc", "max"),
        baseline={"name": NAME, "metric": 0.5, "spread": 0.1, "runs": [{}, {}], "cost": {}},
        oracle_seconds=1.0,
        confirming_seconds=0.0,
        space=None,
        log=None,
        training=SimpleNamespace(executions=1),
        seed=0,
        out=None,
    )


REPORTS = [comparison, learning, importance, recurring, search]


@pytest.mark.parametrize("make", REPORTS)
def test_markdown(make, cells_of):
    """Each table has as many cells in every row; a note or a reason is one line."""
    lines = make().to_markdown().splitlines()
    rows = [line for line in lines if line.startswith("|") and not line.startswith("|---")]
    rules = [index for index, line in enumerate(lines) if line.startswith("|---")]
    for index in rules:
        assert len(cells_of(lines[index - 1])) == lines[index].count("---|")
        assert lines[index - 1] in rows
        for line in lines[index + 1 :]:
            if line not in rows:
                break
            assert len(cells_of(line)) == lines[index].count("---|")
    assert any(NAME in cell for row in rows for cell in cells_of(row))
    assert not any(line.startswith("second") for line in lines)


@pytest.mark.parametrize("make", REPORTS[:-1])
def test_terminal(make):
    assert NAME in str(make())


@pytest.mark.parametrize("make", [comparison, learning, search])
def test_page(make):
    page = make().to_html()
    assert "<i>" not in page
    assert f"<td>{html.escape(NAME)}" in page
    assert page.startswith("<!doctype html>")


@pytest.mark.parametrize(("make", "name"), [(importance, "importance"), (recurring, "recurring")])
def test_files(make, name, tmp_path):
    make().write(tmp_path)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [f"{name}.{ending}" for ending in ("json", "md", "png")]


def test_layer_table():
    row = {"layer": NAME, "class": "MLP", "parameters": 16, "flops": 32, "memory": 64.0}
    table = LayerTable([row], 1)
    assert f"<td>{html.escape(NAME)}</td><td>MLP</td><td><span style=" in table.to_html()
    lines = str(table).splitlines()
    assert len(lines) == 2
    assert lines[0].index("class") == lines[1].index("MLP")
    assert lines[1].endswith("█" * 16)
