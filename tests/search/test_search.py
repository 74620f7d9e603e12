"""A search on a small log: found, reported, resumed, refused."""

import json
from typing import ClassVar

import keras
import pytest

import kranking as kr
from kranking.budget import Budget
from kranking.search import NoFeasiblePoint, Training, search

pytestmark = pytest.mark.usefixtures("eager_training")
QUIET = Training(verbose=0)
PLAIN = {"units": (4,), "dropout": 0.0, "batch_norm": False}
BUDGET = Budget(parameters="+0 %")


def run(space, log, out, **options):
    given = {"baseline": ("mlp", {"units": (32,)}), "trials": 4, "training": QUIET, **options}
    return search(space, log, given.pop("budget", BUDGET), out=out, **given)


@pytest.fixture(scope="module")
def found(space, log, tmp_path_factory):
    out = tmp_path_factory.mktemp("search")
    return run(space, log, out), out


@pytest.mark.each_backend
def test_every_training_is_within_the_budget(found):
    result, _ = found
    most = result.baseline["cost"]["figures"]
    most = most["table_parameters"]["value"] + most["dense_parameters"]["value"]
    assert len(result.trained) == 4
    assert result.feasible_share == 1
    assert all(one.cost.parameters <= most for one in result.found)
    assert result.rejected
    assert all(one.received > most for one in result.rejected)


def test_best_and_front(found):
    result, _ = found
    best = result.best()
    assert best.metric == max(one.metric for one in result.found)
    assert result.front()[0] is best
    assert best in result.ties()
    smallest = min(result.feasible, key=lambda one: one.cost["memory"].value)
    assert smallest.name in [one.name for one in result.front()]


def test_is_told_in_one_line(found):
    result, out = found
    best = f"the best {result.best().name}: val_save_auc {result.best().metric:.4f}"
    expected = f"SearchResult(4 trials, 4 within the budget, {best}, in {str(out)!r})"
    assert repr(result) == str(result) == expected


def test_reports(found):
    result, out = found
    report = json.loads((out / "report.json").read_text())
    assert report["best"] == result.best().name
    assert report["noise"] > 0
    text = (out / "report.md").read_text()
    assert "Rejected before training" in text
    assert "baseline: mlp" in text
    assert text.count("| parameters |") >= 1
    assert "<img" in (out / "report.html").read_text()


def test_the_same_call_trains_nothing_and_more_trials_add(found, space, log):
    result, out = found
    files = {p: p.stat().st_mtime_ns for p in out.glob("tuner/trial_*/trial.json")}
    again = run(space, log, out)
    assert [o.metric for o in again.found] == [o.metric for o in result.found]
    assert {p: p.stat().st_mtime_ns for p in files} == files
    more = run(space, log, out, trials=5)
    assert [o.metric for o in more.found[:4]] == [o.metric for o in result.found]
    assert len(more.found) == 5


def test_another_search_is_refused(found, space, log):
    _, out = found
    with pytest.raises(ValueError, match="differs in budget"):
        run(space, log, out, budget=Budget(parameters="-10 %"))
    with pytest.raises(
        ValueError, match=r"in method \('random' before, now 'bayesian'\), seed \(0"
    ):
        run(space, log, out, method="bayesian", seed=1)


def test_changes_can_be_accepted(found, space, log, tmp_path):
    run(space, log, tmp_path, trials=2)
    tighter = run(
        space, log, tmp_path, trials=3, budget=Budget(parameters=400), accept_changes=True
    )
    assert len(tighter.found) == 3
    assert all(one.cost.parameters <= 400 for one in tighter.feasible)


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("tuner/oracle.json", "{}", "has a KerasTuner project without `settings.json`"),
        ("oracle.json", "{}", "has a KerasTuner project without `settings.json`"),
        ("settings.json", '{"epochs": 3}', "differs in space, budget, baseline"),
        ("settings.json", "torn", "differs in space, budget, baseline"),
    ],
)
def test_a_foreign_folder_is_refused(space, log, tmp_path, name, text, why):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=why):
        run(space, log, tmp_path)
    assert (tmp_path / name).read_text() == text


def test_a_file_is_no_folder(space, log, tmp_path):
    (tmp_path / "out").touch()
    with pytest.raises(ValueError, match=r"Received: out='.*out', which is a file"):
        run(space, log, tmp_path / "out")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"objective": "saves_auc"}, "Did you mean 'save_auc'"),
        ({"objective": "hide_auc"}, r"one of \['save_auc'.* Received: objective='hide_auc'"),
        ({"baseline": None}, "needs a baseline"),
        ({"baseline": "dcnv2"}, "Did you mean 'dcn_v2'"),
        ({"baseline": ("mlp", {"unit": (8,)})}, "Received: 'unit'. Did you mean 'units'"),
        ({"baseline": ("mlp", 8)}, r"name of an architecture or \(name, arguments\)"),
        ({"budget": {"parameters": 8}}, "must be a kranking.budget.Budget"),
        ({"training": "short"}, "must be a kranking.search.Training"),
        ({"method": "grid"}, "Received: method='grid'"),
        ({"budget": Budget(spread=0.1)}, "requires at least Training"),
        ({"budget": Budget(latency="8 ms p99")}, "must contain the limited figure 'latency_p99'"),
    ],
    ids=lambda value: "-".join(map(str, value)) if isinstance(value, dict) else None,
)
def test_bad_input(space, log, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        run(space, log, tmp_path, **options)


def test_a_limit_needs_a_unit():
    with pytest.raises(ValueError, match="`latency` must have a unit"):
        Budget(latency=8)
    with pytest.raises(ValueError, match="`memory` must have a unit"):
        Budget(memory="12")


def test_a_refused_call_trains_nothing_and_leaves_the_folder_free(space, log, tmp_path):
    with pytest.raises(NoFeasiblePoint, match="over the limit of 5"):
        run(space, log, tmp_path, budget=Budget(parameters=5))
    assert not (tmp_path / "baseline.json").exists()
    with pytest.raises(ValueError, match="Did you mean 'units'"):
        run(space, log, tmp_path, baseline=("mlp", {"unit": (8,)}))
    assert len(run(space, log, tmp_path, trials=1).trained) == 1


def test_executions_give_a_spread(space, log, tmp_path):
    training = Training(executions=2, verbose=0)
    budget = Budget(parameters="+0 %", spread=1e-9)
    result = run(space, log, tmp_path, trials=1, training=training, budget=budget)
    assert result.found[0].figures["spread"] > 0
    assert not result.feasible
    with pytest.raises(ValueError, match="None of 1 trials completed"):
        result.best()


@pytest.mark.slow
class Patience(keras.callbacks.EarlyStopping):
    """Notes the epochs that were trained."""

    epochs: ClassVar[list[int]] = []

    def on_epoch_end(self, epoch, logs=None):
        self.epochs.append(epoch)
        super().on_epoch_end(epoch, logs)


def test_a_patience_is_that_of_the_callbacks(log, tmp_path):
    """The rate is 0, so no epoch improves: trial, baseline and winner all wait for two more."""
    space = kr.search.SearchSpace(
        ["mlp"], log.features, log.tasks, parameters={"learning_rate": 0.0, **PLAIN}
    )
    patience = Patience("val_save_auc", mode="max", patience=2)
    training = Training(epochs=9, verbose=0, callbacks=[patience])
    Patience.epochs.clear()
    result = search(
        space, log, Budget(), baseline=("mlp", PLAIN), trials=1, training=training, out=tmp_path
    )
    assert Patience.epochs == [0, 1, 2] * 3  # the baseline twice
    result.retrain()
    assert Patience.epochs == [0, 1, 2] * 4


def test_a_search_in_which_every_trial_diverges_is_reported(log, tmp_path):
    def rates(hp, name):
        return hp.Choice(name, [1e35, 2e35, 3e35, 4e35])

    parameters = {"learning_rate": rates, "embedding_scale": 1.0, **PLAIN}
    options = {"parameters": parameters, "optimizer": "sgd", "batch_size": 256}
    space = kr.search.SearchSpace(["mlp"], log.features, log.tasks, **options)
    result = search(space, log, Budget(), trials=9, training=QUIET, out=tmp_path)
    failed = [one for one in result.found if one.status == "FAILED"]
    assert len(failed) == len(result.found) == 4
    assert (tmp_path / "report.html").exists()
    with pytest.raises(
        ValueError, match=r"None of .* trials completed within the budget. Reasons: "
    ):
        result.best()


@pytest.mark.parametrize("method", ["random", "bayesian", "hyperband"])
def test_a_search_ends_when_its_space_is_used_up(log, tmp_path, capsys, method):
    parameters = {"learning_rate": lambda hp, name: hp.Choice(name, [1e-3, 1e-2, 3e-2, 1e-1])}
    options = {"parameters": {**parameters, "embedding_scale": 1.0, **PLAIN}, "batch_size": 2000}
    space = kr.search.SearchSpace(["mlp"], log.features, log.tasks, **options)
    training = Training(epochs=9, verbose=1)
    given = {"trials": 50, "training": training, "method": method, "out": tmp_path}
    result = search(space, log, Budget(), **given)
    rates = [one.values["learning_rate"] for one in result.found]
    assert set(rates) == {1e-3, 1e-2, 3e-2, 1e-1}
    trials = {"hyperband": 4 + 2 + 1}.get(method, 4)  # rounds of 1, 3 and 9 epochs
    expected = f"used up after {trials} trials of 4 configurations"
    assert len(result.trained) == trials
    assert expected in result.to_markdown()
    assert expected in capsys.readouterr().out
    again = search(space, log, Budget(), **given)
    assert (len(again.found), again.used_up) == (trials, True)


@pytest.mark.slow
def test_hyperband_trains_the_better_half_longer(space, log, tmp_path):
    training = Training(epochs=3, verbose=0)
    result = run(space, log, tmp_path, trials=5, training=training, method="hyperband")
    assert len(result.trained) == 5
    assert result.feasible_share == 1


@pytest.mark.each_backend
def test_the_winner_is_retrained_and_saved(found):
    result, out = found
    model = result.retrain()
    row = json.loads((out / "winner" / "winner.json").read_text())
    assert row["values"] == dict(result.best().values)
    assert row["valid"]["val_save_auc"] == pytest.approx(result.best().metric, abs=1e-3)
    assert {"test_save_auc", "test_save_hit@3"} <= set(row["test"])
    loaded = keras.saving.load_model(out / "winner" / "winner.keras")
    assert loaded.count_params() == model.count_params()
