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


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    """Returns what each backend finds in the files of the others: one process for each backend."""
    folder = tmp_path_factory.mktemp("across")
    children = {backend: start(backend, folder) for backend in BACKENDS}
    for backend, child in children.items():
        if "written\n" not in iter(child.stdout.readline, ""):
            pytest.fail((folder / f"{backend}.txt").read_text()[-3000:])
    found = {}
    for backend, child in children.items():
        printed, _ = child.communicate("read\n", timeout=300)
        assert child.returncode == 0, (folder / f"{backend}.txt").read_text()[-3000:]
        found[backend] = json.loads(printed.splitlines()[-1])
    return found


def start(backend, folder):
    others = [other for other in BACKENDS if other != backend]
    with (folder / f"{backend}.txt").open("w") as errors:
        return subprocess.Popen(
            [sys.executable, str(CHILD), str(folder), *others],
            env={**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            encoding="utf-8",
        )


@pytest.mark.parametrize("reader", BACKENDS)
def test_predictions_are_equal(reports, reader):
    report = reports[reader]
    assert list(report) == [backend for backend in BACKENDS if backend != reader]
    for writer, found in report.items():
        assert found["difference"] < 1e-5, f"{writer} to {reader}: {found}"
        assert found["spread"] > 1e-3  # a model that gives one number to all rows proves nothing
        assert found["iterations"] == 1  # the optimizer's state came along
        assert found["tasks"] == ["save it/é", "dense"]
    assert len({found["hash"] for found in report.values()}) == 1
