"""What is measured of a configuration before it is trained."""

import pytest
from keras_tuner import HyperParameters

from kranking.budget import Budget
from kranking.search import SearchSpace, Training, search
from kranking.search._measured import Measured

pytestmark = pytest.mark.once


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


def test_latency_is_told_beside_the_baselines(wide, tmp_path):
    base = wide.fixed("mlp", {"units": (8, 8)})
    measured = Measured(wide, Budget(latency="+0 %"), tmp_path / "measured", base)
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


def test_memory_is_that_of_the_compiled_step(wide, tmp_path):
    pytest.importorskip("jax")
    measured = Measured(wide, Budget(memory="1 GiB"), tmp_path / "measured")
    memory = measured(configuration(wide, 2048))["memory"]
    assert memory.fidelity in ("compiled", "measured")  # on a GPU the allocator says it
    assert memory.value > 4 * 2048**2 * 3  # weights and Adam's slots
    assert not (tmp_path / "measured").exists()


def test_another_word_is_refused(wide, log, tmp_path):
    with pytest.raises(ValueError, match="`confirm` must be one of"):
        search(wide, log, Budget(latency="1 ms"), confirm="compiled", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
