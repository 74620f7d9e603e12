"""Oracles within a budget: on costs that are known, so that every draw can be judged by hand."""

import keras_tuner
import numpy as np
import pytest

from kranking.budget import Budget, Cost, Figure
from kranking.search import BudgetOracle, NoFeasiblePoint, Rejection
from kranking.search._bayesian import values_of

ORACLES = keras_tuner.oracles


def space():
    hp = keras_tuner.HyperParameters()
    hp.Int("width", 1, 100)
    hp.Int("depth", 1, 10)
    return hp


def cost(hp):
    """Memory is width times depth, in bytes."""
    return Cost(
        1, "adam", "float32", {"memory": Figure(hp["width"] * hp["depth"], "bytes", "analytic")}
    )


def make(kind, most="100 bytes", *, seed=0, cost=cost, **options):
    own = {"max_epochs": 9, "factor": 3} if kind is ORACLES.HyperbandOracle else {"max_trials": 30}
    if kind is ORACLES.BayesianOptimizationOracle:
        own["num_initial_points"] = 5
    objective = keras_tuner.Objective("score", "max")
    oracle = kind(objective=objective, hyperparameters=space(), **own)
    return BudgetOracle(oracle, Budget(memory=most), cost, seed=seed, **options)


def run(oracle, folder, trials, start=0):
    """Plays tuner: the score is the width, which wants to be over budget."""
    oracle._set_project_dir(folder, "tuner")
    oracle.verbose = 0
    drawn = []
    for _ in range(trials - start):
        trial = oracle.create_trial("tuner0")
        if trial.status != "RUNNING":
            break
        drawn.append(dict(trial.hyperparameters.values))
        oracle.update_trial(trial.trial_id, {"score": trial.hyperparameters["width"]})
        trial.status = "COMPLETED"
        oracle.end_trial(trial)
    return drawn


KINDS = [
    ORACLES.RandomSearchOracle,
    ORACLES.BayesianOptimizationOracle,
    ORACLES.HyperbandOracle,
]
each = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)


@each
def test_no_trial_is_over_budget(kind, tmp_path):
    oracle = make(kind)
    drawn = run(oracle, tmp_path, 12)
    assert len(drawn) == 12
    assert all(values["width"] * values["depth"] <= 100 for values in drawn)
    assert oracle.rejected
    for rejection in oracle.rejected:
        assert rejection.limit == "memory"
        assert rejection.received == rejection.values["width"] * rejection.values["depth"] > 100
    assert isinstance(oracle, kind)


@each
def test_a_space_that_is_used_up_ends_the_search(kind, tmp_path):
    """Width times depth is at most 2 in three configurations of a thousand."""
    drawn = run(make(kind, "2 bytes", patience=20), tmp_path, 60)
    assert len(drawn) < 60
    own = [(values["width"], values["depth"]) for values in drawn if "tuner/trial_id" not in values]
    assert len(own) == len(set(own))
    assert set(own) <= {(1, 1), (2, 1), (1, 2)}


def few(kind):
    hp = keras_tuner.HyperParameters()
    hp.Choice("width", list(range(1, 13)))
    own = {"max_epochs": 9} if kind is ORACLES.HyperbandOracle else {"max_trials": 60}
    oracle = kind(objective=keras_tuner.Objective("score", "max"), hyperparameters=hp, **own)
    return BudgetOracle(oracle, Budget(), lambda hp: Cost(1, "adam", "float32", {}), seed=0)


@each
def test_every_configuration_of_a_small_space_is_tried_once(kind, tmp_path):
    drawn = run(few(kind), tmp_path, 60)
    own = [values["width"] for values in drawn if "tuner/trial_id" not in values]
    assert sorted(own) == list(range(1, 13))


@each
@pytest.mark.parametrize("seed", [0, 7])
def test_a_seed_repeats_the_sequence(kind, seed, tmp_path):
    first, second, other = (
        run(make(kind, seed=s), tmp_path / str(i), 8) for i, s in enumerate((seed, seed, seed + 1))
    )
    assert first == second != other


@each
def test_a_stopped_search_goes_on_as_if_it_had_not(kind, tmp_path):
    whole = run(make(kind), tmp_path / "whole", 10)
    begun = run(make(kind), tmp_path / "parts", 6)
    again = make(kind)
    again._set_project_dir(tmp_path / "parts", "tuner")
    again.reload()
    assert len(again.trials) == 6
    assert begun + run(again, tmp_path / "parts", 10, start=6) == whole


@pytest.mark.slow
def test_bayesian_search_gets_close_to_the_limit(tmp_path):
    """The best width within 100 bytes is 100, at depth 1: 1 of 1,000 configurations."""
    drawn = run(make(ORACLES.BayesianOptimizationOracle), tmp_path, 25)
    assert max(values["width"] for values in drawn) >= 95


def test_a_space_without_a_feasible_point_stops_at_once(tmp_path):
    def heavy(hp):
        size = 100 + hp["width"] * hp["depth"]
        return Cost(1, "adam", "float32", {"memory": Figure(size, "bytes", "analytic")})

    oracle = make(ORACLES.RandomSearchOracle, "80 bytes", cost=heavy, patience=50)
    with pytest.raises(
        NoFeasiblePoint, match=r"'memory': memory: 101 bytes .* 26.2 % over"
    ) as error:
        oracle.ensure_feasible()
    assert dict(error.value.nearest.values) == {"width": 1, "depth": 1}


def test_a_needle_in_the_space_is_found(tmp_path):
    """One configuration of 1,000 is within the budget: random draws miss it, steps do not."""
    oracle = make(ORACLES.RandomSearchOracle, "1 bytes", patience=20)
    assert run(oracle, tmp_path, 3) == [{"width": 1, "depth": 1}]


def test_confirming_rejects_before_a_trial_exists(tmp_path):
    asked = []

    def confirm(hp):
        asked.append(dict(hp.values))
        size = hp["width"] * hp["depth"] * (3 if hp["depth"] > 1 else 1)
        return Cost(1, "adam", "float32", {"memory": Figure(size, "bytes", "measured")})

    oracle = make(ORACLES.RandomSearchOracle, confirm=confirm)
    drawn = run(oracle, tmp_path, 10)
    assert all(v["width"] * v["depth"] <= 100 for v in asked)
    assert all(v["depth"] == 1 or v["width"] * v["depth"] * 3 <= 100 for v in drawn)
    assert {r.fidelity for r in oracle.rejected} == {"analytic", "measured"}
    assert oracle.confirming_seconds > 0


def test_confirming_gives_up_after_twenty(tmp_path):
    """What is over by measurement and within by formula: slow questions must not go on for ever."""
    asked = []

    def confirm(hp):
        asked.append(dict(hp.values))
        return Cost(1, "adam", "float32", {"memory": Figure(1e9, "bytes", "measured")})

    oracle = make(ORACLES.RandomSearchOracle, confirm=confirm)
    with pytest.raises(NoFeasiblePoint):
        run(oracle, tmp_path, 1)
    assert 20 <= len(asked) <= 23


def test_what_cannot_be_built_is_drawn_again(tmp_path):
    def picky(hp):
        if hp["depth"] % 2:
            raise ValueError("depth must be even")
        return cost(hp)

    oracle = make(ORACLES.RandomSearchOracle, "1 KiB", cost=picky)
    assert all(values["depth"] % 2 == 0 for values in run(oracle, tmp_path, 5))
    assert {r.reason for r in oracle.rejected} == {"depth must be even"}


def test_best_trials_are_feasible_and_completed(tmp_path):
    oracle = make(ORACLES.RandomSearchOracle)
    run(oracle, tmp_path, 5)
    failed = oracle.create_trial("tuner0")
    failed.status = "FAILED"
    oracle.end_trial(failed)
    best = oracle.get_best_trials(10)
    assert len(best) == 5
    assert [t.score for t in best] == sorted((t.score for t in best), reverse=True)
    tighter = make(ORACLES.RandomSearchOracle, "30 bytes")
    tighter._set_project_dir(tmp_path, "tuner")
    tighter.reload()
    assert all(
        t.hyperparameters["width"] * t.hyperparameters["depth"] <= 30
        for t in tighter.get_best_trials(10)
    )


def test_a_torn_state_is_gone_on_from(tmp_path):
    """A trial whose end is written, and the state is not yet, is not run again."""
    oracle = make(ORACLES.RandomSearchOracle)
    run(oracle, tmp_path, 2)
    trial = oracle.create_trial("tuner0")
    state = (tmp_path / "tuner" / "oracle.json").read_text()
    oracle.update_trial(trial.trial_id, {"score": 1.0})
    trial.status = "COMPLETED"
    oracle.end_trial(trial)
    (tmp_path / "tuner" / "oracle.json").write_text(state)
    again = make(ORACLES.RandomSearchOracle)
    again._set_project_dir(tmp_path, "tuner")
    again.reload()
    assert not again._retry_queue
    assert again.end_order == ["00", "01", "02"]


def test_an_oracle_that_insists_is_refused(tmp_path):
    class Stubborn(keras_tuner.Oracle):
        def populate_space(self, trial_id):
            return {"status": "RUNNING", "values": {"width": 100, "depth": 10}}

    oracle = Stubborn(objective=keras_tuner.Objective("score", "max"), hyperparameters=space())
    oracle = BudgetOracle(oracle, Budget(memory="100 bytes"), cost)
    with pytest.raises(ValueError, match="BudgetStubborn, which repeats"):
        oracle.populate_space("0")
    with pytest.raises(ValueError, match="must be a keras_tuner"):
        BudgetOracle("random", Budget(memory="1 MiB"), cost)


def test_rejections_are_plain_values():
    rejection = Rejection({"width": 3}, "memory", 100.0, 150.0, "analytic", "too large")
    assert Rejection(**rejection.to_json()) == rejection
    assert rejection.excess == pytest.approx(0.5)


def test_candidates_are_read_as_keras_tuner_reads_them():
    hp = keras_tuner.HyperParameters()
    hp.Choice("kind", ["a", "b"])
    hp.Fixed("constant", 3)
    with hp.conditional_scope("kind", ["a"]):
        hp.Int("of_a", 1, 9)
        hp.Choice("nested", [True, False])
        with hp.conditional_scope("nested", [True]):
            hp.Float("deep", 0.1, 10.0, sampling="log")
    with hp.conditional_scope("kind", ["b"]):
        hp.Int("of_b", 1, 4)
    oracle = ORACLES.BayesianOptimizationOracle(
        keras_tuner.Objective("score", "max"), hyperparameters=hp, max_trials=3
    )
    drawn = np.random.default_rng(0).random((50, len(oracle._nonfixed_space())))
    for candidate in drawn:
        assert values_of(oracle, candidate) == dict(oracle._vector_to_values(candidate))
