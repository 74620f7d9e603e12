"""Every architecture trains, is saved, loads on the other backends, compiles with XLA and is exported.

On a log with every kind of feature, at the smallest size of its hyperparameters' ranges.
"""

import importlib
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import kranking as kr

FOLDER = Path(__file__).parent
sys.path.append(str(FOLDER))
child = importlib.import_module("every_architecture_child")

NAMES = kr.architectures.names()
INSTALLED = [b for b in ("torch", "jax", "tensorflow") if importlib.util.find_spec(b) is not None]
WRITER, *READERS = INSTALLED  # torch writes where it can: it compiles nothing

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        keras.backend.backend() != "tensorflow",
        reason="its children run every backend; once is enough",
    ),
]


def run(backend, *arguments):
    done = subprocess.run(
        [sys.executable, str(FOLDER / "every_architecture_child.py"), *map(str, arguments)],
        env={**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        encoding="utf-8",
        timeout=900,
    )
    assert done.returncode == 0, f"{backend} {arguments}:\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("architectures")
    run(WRITER, "write", folder, *NAMES)
    return folder


@pytest.mark.parametrize("reader", READERS)
def test_predictions_are_equal_on_another_backend(written, reader):
    report = json.loads(run(reader, "check", written, *NAMES).splitlines()[-1])
    assert list(report) == NAMES
    assert {name: gap for name, gap in report.items() if not gap < 1e-5} == {}


@pytest.mark.parametrize("name", NAMES)
def test_exports_to_saved_model_and_onnx(written, name, tmp_path):
    model = keras.saving.load_model(written / f"{name}.keras")
    report = kr.export.export_model(model, tmp_path / "served", num_check_rows=16, signatures=())
    assert set(report.reached) == {"keras", "saved_model", "onnx"}
    assert max(report.reached.values()) <= 1e-5
    bundle = kr.export.load_bundle(tmp_path / "served", model.features)
    x, _ = child.rows(model)
    answers = bundle.predict(x)
    expected = np.load(written / f"{name}.npy")
    got = np.concatenate([answers[task.name] for task in child.TASKS], axis=1)
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-5)
    assert expected.std() > 1e-4  # a model that gives one number to all rows proves nothing


@pytest.mark.parametrize("name", NAMES)
def test_a_step_with_xla_equals_one_without(written, name):
    losses = []
    for options in ({"run_eagerly": True, "jit_compile": False}, {"jit_compile": True}):
        model = keras.saving.load_model(written / f"{name}.keras", compile=False)
        model.compile("sgd", weighted_metrics=None, **options)
        losses.append(model.train_on_batch(*child.rows(model), return_dict=True)["loss"])
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)
