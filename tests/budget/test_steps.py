"""The compiled and the measured step run the real thing, here or in a child process."""

from importlib.util import find_spec

import keras
import pytest

import kranking as kr
from kranking._child import ChildError
from kranking.budget import analytic_cost, compiled_step, measured_step

needs_jax = pytest.mark.skipif(find_spec("jax") is None, reason="XLA's account is JAX's")


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="its child is JAX's for everyone")
def test_compiled_memory_holds_the_state_and_grows_with_the_batch(model):
    optimizer = keras.optimizers.SGD(momentum=0.9)
    small, large = (compiled_step(model, size, optimizer) for size in (256, 1024))
    cost = analytic_cost(model, 256, optimizer)
    known = sum(cost.memory_parts[part] for part in ("parameters", "slots", "inputs"))
    # Beside these the state has a handful of scalars: learning rate, step, means of the losses.
    assert known <= small["state"] < 1.01 * known
    assert small["memory"] == small["state"] + small["temporary"]
    assert 2 < large["temporary"] / small["temporary"] < 4.5
    assert large["flops"] > 3 * 1024 * cost["flops"].value  # forward, and two products backward
    assert not model.built


def test_measured_step_trains(model):
    found = measured_step(model, batch_size=64, steps=2)
    assert found["memory"] > 0
    assert found["rows_per_second"] == pytest.approx(64 / found["seconds"])
    assert found["device"] in ("cpu", "gpu")


@pytest.mark.slow
@pytest.mark.once
def test_a_child_that_fails_says_why(model):
    with pytest.raises(ChildError, match="No module named 'not_there'"):
        measured_step(model, modules=("not_there",))


def test_rejects(model):
    with pytest.raises(ValueError, match="`steps` must be a positive integer"):
        measured_step(model, steps=0)
    with pytest.raises(ValueError, match="`batch_size` must be a positive integer"):
        measured_step(model, batch_size=0)


@pytest.mark.extra
@needs_jax
def test_every_optimizer_name_reaches_the_child(model):
    assert kr.budget.compiled_step(model, 8, "adagrad")["memory"] > 0
