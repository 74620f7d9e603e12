"""What the chief answers to workers that are there, fall silent, come back or fail; without a network."""

from types import SimpleNamespace

import keras_tuner
import pytest
from keras_tuner.engine.trial import Trial
from keras_tuner.src import protos
from keras_tuner.src.distribute.oracle_chief import OracleServicer

from kranking.budget import Budget, Cost, Figure
from kranking.search import BudgetOracle, _chief
from kranking.search._worker import MESSAGE, WORKER

SERVICE = protos.get_service()


class Team:
    """A chief with its clock, and the calls of workers."""

    def __init__(self, folder, trials, monkeypatch):
        hp = keras_tuner.HyperParameters()
        hp.Float("rate", 1e-4, 1e-2)
        self.seconds, self.ended = 0.0, []
        monkeypatch.setattr(_chief, "time", SimpleNamespace(monotonic=lambda: self.seconds))
        objective = keras_tuner.Objective("score", "max")
        self.oracle = BudgetOracle(
            keras_tuner.oracles.RandomSearchOracle(objective, trials, hyperparameters=hp),
            Budget(memory="1 MiB"),
            lambda hp: Cost(1, "adam", "float32", {"memory": Figure(1, "bytes", "analytic")}),
            seed=0,
        )
        self.oracle._set_project_dir(folder, "tuner")
        self.oracle.verbose = 0
        self.chief = self.started()

    def started(self):
        kind = type("Chief", (_chief.Chief, OracleServicer), {})
        return kind(self.oracle, lambda: self.ended.append(self.oracle.end_order[-1]))

    def ask(self, worker):
        request = SERVICE.CreateTrialRequest(tuner_id=worker)
        trial = Trial.from_proto(self.chief.CreateTrial(request, context()).trial)
        return trial if trial.status == "RUNNING" else trial.status

    def beat(self, worker, trial):
        request = SERVICE.GetTrialRequest(trial_id=trial.trial_id)
        self.chief.GetTrial(request, context((WORKER, worker)))

    def end(self, trial, score=1.0, status="COMPLETED", message=""):
        if status == "COMPLETED":
            metrics = {"score": score}
            request = SERVICE.UpdateTrialRequest(trial_id=trial.trial_id, metrics=metrics)
            self.chief.UpdateTrial(request, context())
        trial.status = status
        request = SERVICE.EndTrialRequest(trial=trial.to_proto())
        self.chief.EndTrial(request, context((MESSAGE, message.encode())))


def context(*metadata):
    return SimpleNamespace(invocation_metadata=lambda: metadata)


@pytest.fixture
def team(tmp_path, monkeypatch):
    return lambda trials: Team(tmp_path, trials, monkeypatch)


def test_the_trial_of_a_silent_worker_goes_to_the_next(team, capsys):
    team = team(2)
    lost, mine = team.ask("a"), team.ask("b")
    team.seconds = 40
    team.end(mine)
    assert team.ask("b") == "IDLE"  # it may be needed yet
    team.seconds = 70
    assert not team.chief.finished()
    assert "Lost worker a: reassigning trial 0 to the next worker" in capsys.readouterr().out
    again = team.ask("b")
    assert again.trial_id == lost.trial_id
    assert again.hyperparameters.values == lost.hyperparameters.values
    team.end(again, score=2.0)
    team.end(lost, score=3.0)  # it was alive after all: what came first counts
    assert team.oracle.trials["0"].score == 2
    assert team.oracle.end_order == team.ended == ["1", "0"]
    assert not team.chief.finished()  # the other does not know yet
    assert team.ask("b") == "STOPPED"
    assert team.chief.finished()


def test_signs_of_life_keep_a_trial(team):
    team = team(1)
    trial = team.ask("a")
    for second in range(0, 600, 30):
        team.seconds = second
        team.beat("a", trial)
        assert team.ask("b") == "IDLE"
        assert not team.chief.finished()
    assert list(team.oracle.ongoing_trials) == ["a"]


def test_a_worker_started_again_gets_its_trial_back(team):
    team = team(3)
    assert team.ask("a").trial_id == team.ask("a").trial_id == "0"


def test_a_chief_started_again_leaves_trials_to_who_trains_them(team):
    team = team(2)
    trials = {name: team.ask(name) for name in ("a", "b")}
    team.oracle.reload()
    team.chief = team.started()
    team.beat("a", trials["a"])
    team.end(trials["b"])
    assert team.ask("b") == "IDLE"
    assert {name: t.trial_id for name, t in team.oracle.ongoing_trials.items()} == {"a": "0"}
    assert not team.oracle._retry_queue


def test_a_chief_started_again_waits_for_those_it_knew(team):
    team = team(1)
    lost = team.ask("a")
    team.oracle.reload()
    team.chief = team.started()
    assert team.ask("b") == "IDLE"  # a may be training it still
    team.seconds = 30
    team.beat("a", lost)
    team.seconds = 80
    assert not team.chief.finished()
    assert team.ask("b") == "IDLE"
    team.end(lost)
    assert (team.ask("a"), team.ask("b")) == ("STOPPED", "STOPPED")
    assert team.chief.finished()


def test_a_chief_started_again_lets_those_who_waited_find_it(team):
    team = team(1)
    last = team.ask("a")
    assert team.ask("b") == "IDLE"
    team.oracle.reload()
    team.chief = team.started()
    team.end(last)
    assert team.ask("a") == "STOPPED"
    assert not team.chief.finished()  # b does not know yet, and nobody knows b
    assert team.ask("b") == "STOPPED"
    team.seconds = 20
    assert team.chief.finished()


def test_the_trial_of_a_worker_that_died_with_the_chief_goes_on(team):
    team = team(1)
    lost = team.ask("a")
    team.oracle.reload()
    team.chief = team.started()
    team.seconds = 100
    assert not team.chief.finished()
    assert team.ask("b").trial_id == lost.trial_id


def test_a_search_that_has_all_trials_ends_without_workers(team):
    team = team(1)
    team.end(team.ask("a"))
    team.chief = team.started()
    assert team.chief.finished()


def test_numbers_arrive_exactly_and_so_do_reasons(team):
    team = team(2)
    trial = team.ask("a")
    exact = dict(team.oracle.trials["0"].hyperparameters.values)
    assert trial.hyperparameters.values == exact
    team.end(trial, score=0.1 + 0.2)
    assert team.oracle.trials["0"].score == 0.1 + 0.2
    assert team.oracle.trials["0"].hyperparameters.values == exact
    team.end(team.ask("a"), status="INVALID", message="no memory")
    assert team.oracle.trials["1"].status == "FAILED"
    assert team.oracle.trials["1"].message == "no memory"


def test_failures_in_a_row_send_everybody_home(team):
    team = team(10)
    team.ask("b")
    for _ in range(3):
        team.end(team.ask("a"), status="INVALID", message="no memory")
    assert team.ask("a") == "STOPPED"
    with pytest.raises(RuntimeError, match=r"(?s)consecutive failures.*no memory"):
        raise team.chief.failure
    team.seconds = 100
    assert team.chief.finished()
