"""What is measured of a configuration before it is trained."""

import pytest
from keras_tuner import HyperParameters

from kranking._child import ChildError
from kranking.budget import Budget, Figure
from kranking.search import NoFeasiblePoint, SearchSpace, Training, search
from kranking.search._measured_cost import MeasuredCost


@pytest.fixture(scope="module")
def wide(log):
    """Configurations, two of them a thousand times the work of the first."""
    units = {"units": lambda hp, name: [hp.Choice(name, [8, 1536, 2048])] * 2}
    return SearchSpace(["mlp"], log.features, log.tasks, parameters=units, batch_size=256)


def configuration(space, units):
    hp = HyperParameters()
    space.chosen(hp)
    hp.values["mlp/units"] = units
    return hp


@pytest.mark.slow
def test_latency_is_told_beside_the_baselines(wide, tmp_path):
    base = wide.fixed("mlp", {"units": (8, 8)})
    measured = MeasuredCost(wide, Budget(latency="+0 %"), tmp_path / "measured", base)
    small, large = (measured(configuration(wide, units)) for units in (8, 2048))
    again = measured(configuration(wide, 2048))
    assert small["latency_p50"].fidelity == "measured"
    assert large["latency_p50"].value > 2 * small["latency_p50"].value
    assert again == large  # what was measured is kept
    assert small["memory"].fidelity == "analytic"  # it is not limited
    assert len(list((tmp_path / "measured" / "served").iterdir())) == 1  # the baseline's bundle


@pytest.mark.slow
def test_no_training_is_spent_on_what_measures_over_the_limit(wide, log, tmp_path):
    """The formula is not asked: the space predicts no latency."""
    result = search(
        wide,
        log,
        Budget(latency="+50 %"),
        baseline=("mlp", {"units": (8, 8)}),
        trials=2,
        seed=2,
        training=Training(epochs=1, verbose=0),
        confirm="measured",
        out=tmp_path / "out",
    )
    assert {one.values["mlp/units"] for one in result.found} == {8}
    assert {one.fidelity for one in result.rejected} == {"measured"}
    assert all(one.cost["latency_p50"].fidelity == "measured" for one in result.found)
    assert result.baseline["cost"]["figures"]["latency_p50"]["fidelity"] == "measured"
    assert result.confirming_seconds > 0


@pytest.mark.extra
def test_memory_is_that_of_the_compiled_step(wide, tmp_path):
    pytest.importorskip("jax")
    measured = MeasuredCost(wide, Budget(memory="1 GiB"), tmp_path / "measured")
    memory = measured(configuration(wide, 2048))["memory"]
    assert memory.fidelity in ("compiled", "measured")  # on a GPU the allocator says it
    assert memory.value > 4 * 2048**2 * 3  # weights and Adam's slots
    assert [path.name for path in (tmp_path / "measured").iterdir()] == ["memory.json"]


def test_another_word_is_refused(wide, log, tmp_path):
    with pytest.raises(ValueError, match="`confirm` must be one of"):
        search(wide, log, Budget(latency="1 ms"), confirm="compiled", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.fixture
def counted(monkeypatch):
    """Stands for the exporting and timing, which another test does: a millisecond for each weight."""
    asked = []

    def in_turns(models, name, baseline, out, batch):
        asked.append(name)
        (out / "served" / name).mkdir(parents=True, exist_ok=True)
        sizes = {one: models[one]().count_params() for one in (name, baseline)}
        busy = len(asked)  # the machine's mood, in which both are measured
        found = {
            f"{start}latency_p{q}": Figure(float(busy * sizes[one]), "ms", "measured")
            for start, one in (("", name), ("baseline_", baseline))
            for q in (50, 90, 99)
        }
        return {name: figure.to_json() for name, figure in found.items()}

    monkeypatch.setattr("kranking.comparison._served_latencies._in_turns", in_turns)
    return asked


def weights(space, units):
    return space.cost(configuration(space, units)).parameters


def test_another_baseline_is_measured_beside_anew(counted, wide, tmp_path):
    budget = Budget(latency="+0 %")
    for units in (8, 1536):
        base = wide.fixed("mlp", {"units": (units, units)})
        measured = MeasuredCost(wide, budget, tmp_path, base)
        # As the baseline was measured, whatever the machine does in between.
        mood = measured(base)["latency_p50"].value / weights(wide, units)
        found = measured(configuration(wide, 2048))["latency_p50"].value
        assert found == pytest.approx(mood * weights(wide, 2048))
    assert len(counted) == 4


def test_without_a_baseline_each_is_measured_alone_and_once(counted, wide, tmp_path):
    for _ in range(2):  # the second time another process goes on
        measured = MeasuredCost(wide, Budget(latency="1 ms"), tmp_path)
        for units in (1536, 8):
            hp = configuration(wide, units)
            hp.values["learning_rate"] *= 1.01  # changes nothing of what is served
            measured(hp)
    assert len(counted) == 2
    assert not list((tmp_path / "served").iterdir())


def test_a_step_that_runs_out_of_memory_refuses_its_configuration(wide, tmp_path, monkeypatch):
    def fails(*_):
        raise ChildError("out of memory")

    monkeypatch.setattr("kranking.search._measured_cost._has_gpu", lambda: True)
    monkeypatch.setattr("kranking.search._measured_cost.measured_step", fails)
    with pytest.raises(
        ValueError,
        match=r"memory of this configuration cannot be measured. Received: out of memory",
    ):
        MeasuredCost(wide, Budget(memory="1 GiB"), tmp_path)(configuration(wide, 8))


def test_another_way_of_confirming_is_noticed(counted, wide, log, tmp_path):
    call = {"trials": 1, "seed": 2, "training": Training(epochs=1, verbose=0), "out": tmp_path}
    budget = Budget(latency=f"{2 * weights(wide, 8)} ms")
    result = search(wide, log, budget, confirm="measured", **call)
    assert [one.cost["latency_p50"].fidelity for one in result.found] == ["measured"]
    with pytest.raises(ValueError, match="which differs in confirm"):
        search(wide, log, budget, **call)


def test_measuring_ends(counted, wide, log, tmp_path):
    with pytest.raises(NoFeasiblePoint):
        search(wide, log, Budget(latency="1 ms"), confirm="measured", out=tmp_path)
    assert 20 <= len(counted) <= 22
