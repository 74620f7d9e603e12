"""A `.keras` file written on one backend loads on the other two, with equal predictions."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import pytest

CHILD = Path(__file__).with_name("across_backends_child.py")
BACKENDS = [b for b in ("tensorflow", "jax", "torch") if importlib.util.find_spec(b) is not None]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        keras.backend.backend() != "tensorflow",
        reason="its children run every backend; once is enough",
    ),
    pytest.mark.skipif(len(BACKENDS) < 2, reason="needs a second backend, such as kranking[jax]"),
]


def run(backend, *arguments):
    done = subprocess.run(
        [sys.executable, str(CHILD), *map(str, arguments)],
        env={**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        encoding="utf-8",
        timeout=300,
    )
    assert done.returncode == 0, f"{backend} {arguments}:\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("across")
    for backend in BACKENDS:
        run(backend, "write", folder)
    return folder


@pytest.mark.parametrize("reader", BACKENDS)
def test_predictions_are_equal(written, reader):
    writers = [backend for backend in BACKENDS if backend != reader]
    report = json.loads(run(reader, "check", written, *writers).splitlines()[-1])
    assert list(report) == writers
    for writer, found in report.items():
        assert found["difference"] < 1e-5, f"{writer} to {reader}: {found}"
        assert found["spread"] > 1e-3  # a model that gives one number to all rows proves nothing
        assert found["iterations"] == 1  # the optimizer's state came along
        assert found["tasks"] == ["save it/é", "dense"]
    assert len({found["hash"] for found in report.values()}) == 1
