"""A search that is killed, alone or as one of several processes, loses what was running and no more."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kranking.budget import Budget
from kranking.search import Training, search

pytestmark = pytest.mark.slow  # processes that each import a backend

TRIALS = 6
CHILD = Path(__file__).with_name("search_child.py")


def here(space, log, out):
    """Runs in this process the search that the child runs."""
    training = Training(verbose=0)
    budget, baseline = Budget(parameters="+0 %"), ("mlp", {"units": (32,)})
    return search(space, log, budget, baseline=baseline, trials=TRIALS, training=training, out=out)


@pytest.fixture(scope="module")
def undisturbed(space, log, tmp_path_factory):
    return here(space, log, tmp_path_factory.mktemp("undisturbed"))


@pytest.fixture
def start(log, tmp_path):
    """Starts children, and ends those that a failing test has left."""
    children = []

    def start(*hang, **variables):
        command = [sys.executable, CHILD, log.train.parent, tmp_path / "out", TRIALS, *hang]
        with (tmp_path / f"child{len(children)}.txt").open("w") as printed:
            child = subprocess.Popen(
                list(map(str, command)),
                env={**os.environ, **variables},
                stdout=printed,
                stderr=subprocess.STDOUT,
            )
        children.append(child)
        return child

    yield start
    for child in children:
        child.kill()
        child.wait()


def wait_for(path, *children):
    """Waits until a file is there, or one that should write it has ended without."""
    while not path.exists():
        for child in children:
            assert child.poll() is None, (
                f"ended with {child.returncode} before it wrote {path.name}"
            )
        time.sleep(0.02)


def kill(child):
    child.send_signal(signal.SIGKILL)
    child.wait()


def same(found, others):
    """Whether trials have the same names, configurations and, up to another process's rounding, metrics."""
    assert [one.name for one in found] == [one.name for one in others]
    assert [dict(one.values) for one in found] == [dict(one.values) for one in others]
    assert [one.metric for one in found] == pytest.approx([o.metric for o in others], abs=1e-4)


def test_a_killed_search_goes_on_as_if_it_had_not_been(undisturbed, start, space, log, tmp_path):
    child = start(3, tmp_path / "third_has_begun")
    wait_for(tmp_path / "third_has_begun", child)
    kill(child)
    ended = sorted((tmp_path / "out" / "tuner").glob("trial_[01]/trial.json"))
    before = [path.read_bytes() for path in ended]
    assert len(before) == 2
    result = here(space, log, tmp_path / "out")
    assert [path.read_bytes() for path in ended] == before
    assert len(result.trained) == TRIALS
    same(result.found, undisturbed.found)


def address():
    """Gives KerasTuner's variables of a chief on this machine."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    return {"KERASTUNER_ORACLE_IP": "127.0.0.1", "KERASTUNER_ORACLE_PORT": str(port)}


def test_workers_go_on_with_a_chief_that_was_killed(undisturbed, start, space, log, tmp_path):
    team = address()
    chief = start(**team, KERASTUNER_TUNER_ID="chief")
    workers = [start(**team, KERASTUNER_TUNER_ID=f"worker{i}") for i in range(2)]
    wait_for(tmp_path / "out" / "tuner" / "trial_2" / "trial.json", chief, *workers)
    kill(chief)
    time.sleep(1)  # workers meet nobody
    again = start(**team, KERASTUNER_TUNER_ID="chief")
    codes = (again.wait(), *(worker.wait() for worker in workers))
    assert codes == (0, 0, 0), (tmp_path / "child3.txt").read_text()[-3000:]
    result = here(space, log, tmp_path / "out")  # trains nothing: all is there
    same(result.found, undisturbed.found)


def test_a_killed_worker_loses_no_trial(undisturbed, start, space, log, tmp_path):
    team = address()
    chief = start(**team, KERASTUNER_TUNER_ID="chief")
    victim = start(2, tmp_path / "second_has_begun", **team, KERASTUNER_TUNER_ID="worker0")
    wait_for(tmp_path / "second_has_begun", chief, victim)
    other = start(**team, KERASTUNER_TUNER_ID="worker1")
    wait_for(tmp_path / "out" / "tuner" / "trial_2" / "trial.json", chief, victim, other)
    kill(victim)
    assert (chief.wait(), other.wait()) == (0, 0), (tmp_path / "child0.txt").read_text()[-3000:]
    said = (tmp_path / "child0.txt").read_text()
    assert "Lost worker worker0: reassigning trial 1 to the next worker" in said
    assert {"report.md", "report.html"} <= {path.name for path in (tmp_path / "out").iterdir()}
    result = here(space, log, tmp_path / "out")  # trains nothing: all is there
    assert len(result.trained) == TRIALS
    assert result.feasible_share == 1
    same(result.found, undisturbed.found)
