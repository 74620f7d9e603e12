import pytest

from kranking.serving import Latencies, latency_in_turns

pytestmark = pytest.mark.once


def test_every_round_runs_everything_in_turn():
    calls = []
    measured = latency_in_turns(
        {name: lambda name=name: calls.append(name) for name in "abc"},
        rounds=40,
        warmup=2,
        batch=100,
        threads=1,
    )
    rounds = ["".join(calls[i : i + 3]) for i in range(0, len(calls), 3)]
    assert [sorted(names) for names in rounds] == [["a", "b", "c"]] * 42
    # A neighbour that were always the same would leave the caches in the same state.
    assert set(rounds) == {"abc", "acb", "bac", "bca", "cab", "cba"}
    assert {len(times) for times in measured.milliseconds.values()} == {40}
    summary = measured.to_json()
    assert (summary["batch"], summary["threads"], summary["warmup"]) == (100, 1, 2)
    assert summary["rounds"] == 40


def test_figures():
    # The machine is ten times slower in half of the rounds: the ratio does not notice.
    times = {"new": (2.0, 20.0, 2.2, 20.0), "old": (1.0, 10.0, 1.1, 10.0)}
    measured = Latencies(times, warmup=0, batch=None, threads=None, machine="")
    assert measured.percentile("old", 50) == pytest.approx(5.55)
    assert measured.ratio("new", "old") == pytest.approx(2.0)
    assert measured.to_json()["milliseconds"]["old"]["p90"] == pytest.approx(10.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"calls": {}}, "`calls` must contain at least one"),
        ({"calls": {"a": int}, "rounds": 0}, "`rounds` must be a positive"),
        ({"calls": {"a": int}, "warmup": -1}, "`warmup` must be an integer of at least 0"),
    ],
)
def test_rejects(arguments, message):
    with pytest.raises(ValueError, match=message):
        latency_in_turns(**arguments)
