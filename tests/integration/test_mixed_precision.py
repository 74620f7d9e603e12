"""Architectures train under mixed precision: every loss and every weight stays finite, and the loss falls.

On a log with every kind of feature, at the smallest size of its hyperparameters' ranges.
"""

import importlib
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import kranking as kr

sys.path.append(str(Path(__file__).parent))
child = importlib.import_module("every_architecture_child")

STEPS, BATCH = 20, 16
# Masks and crosses on fields of unit length, whose tables overflow first; inner products; gates.
QUICK = ["pinterest_launch", "dlrm", "final_mlp"]
slow_on_jax = pytest.mark.slow if keras.backend.backend() == "jax" else lambda test: test


@pytest.fixture
def policy(request):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(request.param)
    yield request.param
    keras.config.set_dtype_policy(before)


def trains(name, epochs):
    keras.utils.set_random_seed(1)
    model = child.build(name)
    x, y = child.rows(model, STEPS * BATCH)
    model.compile(keras.optimizers.Adam(1e-3), weighted_metrics=None)
    losses = model.fit(x, y, batch_size=BATCH, epochs=epochs, verbose=0).history["loss"]
    assert np.isfinite(losses).all(), losses
    broken = [w.path for w in model.weights if not _finite(w)]
    assert not broken
    assert losses[-1] < losses[0]  # else every step was skipped for an overflow
    assert all(_finite(logits) for logits in model(x).values())


def _finite(values):
    return bool(np.isfinite(keras.ops.convert_to_numpy(values)).all())


@pytest.mark.parametrize("policy", ["mixed_float16"], indirect=True)
@pytest.mark.parametrize("name", QUICK)
@slow_on_jax  # which compiles longer than it trains
def test_some_train(name, policy):
    trains(name, epochs=3)


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["mixed_float16"], indirect=True)
@pytest.mark.parametrize("name", kr.architectures.names())
def test_every_architecture_trains(name, policy):
    trains(name, epochs=8)
