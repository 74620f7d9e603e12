"""Three steps of every Keras optimizer give equal weights on all backends; ids repeat in the batch."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

CHILD = Path(__file__).with_name("optimizers_across_backends_child.py")
BACKENDS = [b for b in ("tensorflow", "jax", "torch") if importlib.util.find_spec(b) is not None]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        keras.backend.backend() != "tensorflow",
        reason="its children run every backend; once is enough",
    ),
    pytest.mark.skipif(len(BACKENDS) < 2, reason="needs a second backend, such as kranking[jax]"),
]


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Returns the weights by plan and optimizer, of each backend: one process for each."""
    folder = tmp_path_factory.mktemp("weights")
    for backend in BACKENDS:
        environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
        command = [sys.executable, str(CHILD), str(folder / f"{backend}.npz")]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-3000:]
    return {backend: np.load(folder / f"{backend}.npz") for backend in BACKENDS}


@pytest.mark.parametrize("backend", [b for b in BACKENDS if b != "tensorflow"])
def test_weights_are_equal(weights, backend):
    expected, got = weights["tensorflow"], weights[backend]
    assert expected.files == got.files
    assert len(expected.files) == 9 * (15 + 1)
    for name in expected.files:
        np.testing.assert_allclose(got[name], expected[name], rtol=0, atol=1e-5, err_msg=name)
        plan, optimizer = name.split()
        moved = np.abs(expected[name] - expected[f"{plan} start"]).max()
        assert moved > 1e-4 or optimizer == "start", name
