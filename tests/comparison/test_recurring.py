"""Recurring training on a small log whose truth turns round."""

import dataclasses
import json

import keras
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import kranking as kr
from kranking.comparison import recurring_training
from kranking.training import Protocol

ROWS, PERIODS = 600, ("day1", "day2", "day3", "day4")
FEATURES = [kr.features.Numeric(name, mean=0.0, std=1.0) for name in ("a", "b")]
PROTOCOL = Protocol(optimizer=lambda: keras.optimizers.Adam(0.05), batch_size=50, epochs=2)


@pytest.fixture(scope="module")
def periods(tmp_path_factory):
    """The sign of what `a` does turns after the second day; what `b` does stays."""
    folder, random = tmp_path_factory.mktemp("periods"), np.random.default_rng(0)
    for number, name in enumerate(PERIODS):
        a, b = random.standard_normal((2, ROWS)).astype("float32")
        logits = (2 if number < 2 else -2) * a + b - 1
        save = (random.random(ROWS) < 1 / (1 + np.exp(-logits))).astype("int8")
        hide = (random.random(ROWS) < 0.3).astype("int8")
        columns = {"a": a, "b": b, "save": save, "hide": hide, "session": np.arange(ROWS) // 5}
        pq.write_table(pa.table(columns), folder / f"{name}.parquet")
    return {name: folder / f"{name}.parquet" for name in PERIODS}


def make():
    blocks = [kr.layers.MLP([4]), keras.layers.Dropout(0.1)]
    return kr.RankingModel(FEATURES, blocks, [kr.Task("save"), kr.Task("hide")])


def run(periods, out, **options):
    options = {"protocol": PROTOCOL, "out": out, "verbose": 0, **options}
    return recurring_training(options.pop("make", make), periods, "session", **options)


@pytest.fixture(scope="module")
def whole(periods, tmp_path_factory):
    """Three days, and the fourth in a later call."""
    out = tmp_path_factory.mktemp("whole")
    assert len(run({name: periods[name] for name in PERIODS[:3]}, out).periods) == 2
    tested = out / "seed0/tested-day2.npz"
    before = tested.stat().st_mtime_ns
    report = run(periods, out)
    assert tested.stat().st_mtime_ns == before
    return report, out


def arrays(path):
    with np.load(path) as file:
        return {name: file[name] for name in file.files if name != "head"}


def test_each_period_is_tested_before_it_is_trained_on(whole):
    """Both models are one on the second day; the turn costs both; a day later one has learnt it."""
    second, third, fourth = whole[0].periods
    assert [p.name for p in whole[0].periods] == ["day2", "day3", "day4"]
    assert (second.num_rows, second.num_sessions) == (ROWS, ROWS // 5)
    assert all(gain.estimate == 0 for gain in second.gain.values())
    assert third.recurring["save_ne"].estimate > 1.2 < third.frozen["save_ne"].estimate
    assert fourth.recurring["save_ne"].high < fourth.frozen["save_ne"].low
    assert fourth.gain["save_ne"].high < 0
    drift, frozen = (whole[0].drift("save_ne", arm) for arm in (False, True))
    assert drift[0] == kr.comparison.Interval(0, 0, 0)
    assert frozen[2].low > drift[2].high


def test_figures_are_those_of_the_rows(whole, periods):
    """The frozen model, judged by the metrics themselves."""
    model = make()
    model.compile(PROTOCOL.optimizer())
    assert kr.training.load_state(model, whole[1] / "seed0/first.npz") == {"periods": ["day1"]}
    test = kr.data.read_parquet(periods["day4"], model, 50)
    names = ["ne", "auc", "calibration", "hit@3"]
    expected = kr.training.RankingEvaluation(test, "session", names, prefix="").evaluate(model)
    found = whole[0].periods[2].frozen
    assert set(found) == set(expected) - {"hide_hit@3"}
    for name, interval in found.items():
        assert interval.estimate == pytest.approx(expected[name], abs=2e-5), name


@pytest.mark.each_backend
def test_a_killed_run_ends_with_the_same_weights(whole, periods, tmp_path, monkeypatch):
    """Killed or not, in one call or two."""
    fit, calls = kr.RankingModel.fit, []

    def killed(model, *arguments, **options):
        calls.append(1)
        found = fit(model, *arguments, **options)
        if len(calls) == 3:
            raise KeyboardInterrupt  # trained on the third day, and nothing written of it
        return found

    monkeypatch.setattr(kr.RankingModel, "fit", killed)
    with pytest.raises(KeyboardInterrupt):
        run(periods, tmp_path)
    keras.utils.set_random_seed(99)
    again = run(periods, tmp_path)
    assert len(calls) == 5
    expected, found = arrays(whole[1] / "seed0/state.npz"), arrays(tmp_path / "seed0/state.npz")
    assert all(np.array_equal(expected[n], found[n]) for n in expected)
    assert again.to_json() == whole[0].to_json()


def test_another_training_is_refused(whole, periods):
    _, out = whole
    with pytest.raises(ValueError, match=r"periods may be added.*differs in periods"):
        run({name: periods[name] for name in reversed(PERIODS)}, out)
    with pytest.raises(ValueError, match="differs in protocol"):
        run(periods, out, protocol=dataclasses.replace(PROTOCOL, batch_size=10))
    other = lambda: kr.RankingModel(FEATURES, [kr.layers.MLP([3])], [kr.Task("save")])  # noqa: E731
    with pytest.raises(ValueError, match="differs in model"):
        run(periods, out, make=other)


def test_report_in_every_form(whole):
    report, out = whole
    text = (out / "recurring.md").read_text()
    assert "## save" in text
    assert "## hide" in text
    assert "| day2 | 600 |" in text
    assert "more rows" in text
    assert "variation over seeds is not included" in text
    found = json.loads((out / "recurring.json").read_text())
    assert [p["name"] for p in found["periods"]] == ["day2", "day3", "day4"]
    assert found["periods"][0]["recurring"]["save_auc"]["low"] is None  # no interval of it
    assert len(found["drift"]["frozen"]["save_ne"]) == 3
    assert (out / "recurring.png").stat().st_size > 1000
    assert "better" in str(report)
    with pytest.raises(ValueError, match=r"`task` must be one of \['save', 'hide'\]"):
        report.table("closeup")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["day1"], r"`periods` must have at least two periods.*Received: \['day1'\]"),
        (["day1", "../day2"], "The name of a period is part of file names"),
    ],
)
def test_rejects(tmp_path, names, message):
    with pytest.raises(ValueError, match=message):
        run(dict.fromkeys(names, "none.parquet"), tmp_path)
    with pytest.raises(ValueError, match="`seeds` must be a positive integer"):
        run({"a": "b", "c": "d"}, tmp_path, seeds=0)


def test_rejects_a_model_that_is_compiled(periods, tmp_path):
    model = make()
    model.compile("sgd")
    with pytest.raises(ValueError, match="`make` must return a new, untrained model"):
        run(periods, tmp_path, make=lambda: model)


def test_scores_that_are_not_finite_end_it(periods, tmp_path):
    broken = Protocol(optimizer=lambda: keras.optimizers.SGD(1e30), batch_size=600)
    with pytest.raises(FloatingPointError, match="scores of task 'save' are not finite"):
        run(periods, tmp_path, protocol=broken)
