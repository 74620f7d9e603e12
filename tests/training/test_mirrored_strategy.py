"""MirroredStrategy: two logical processors train as one device does at the same global batch."""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import kranking as kr

CHILD = Path(__file__).with_name("mirrored_child.py")
on_tensorflow = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="tf.distribute belongs to TensorFlow"
)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("log")
    kr.data.write_homefeed(folder, num_rows=1_100, seed=1, num_users=50, num_pins=60)
    return {replicas: run(folder / "train", replicas) for replicas in (1, 2)}


def run(folder, replicas):
    # A process of its own each: logical processors have to be made before TensorFlow starts.
    command = [sys.executable, str(CHILD), str(folder), str(replicas)]
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    child = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert child.returncode == 0, child.stderr[-3000:]
    return json.loads(child.stdout.strip().splitlines()[-1])


@on_tensorflow
def test_two_replicas_equal_one_device(runs):
    assert (runs[1]["replicas"], runs[2]["replicas"]) == (1, 2)
    np.testing.assert_allclose(runs[2]["loss"], runs[1]["loss"], rtol=1e-5)
    np.testing.assert_allclose(runs[2]["weights"], runs[1]["weights"], rtol=1e-6)
    np.testing.assert_allclose(runs[2]["save"], runs[1]["save"], atol=1e-5)
    for name, value in runs[1]["scores"].items():
        np.testing.assert_allclose(runs[2]["scores"][name], value, rtol=1e-4, err_msg=name)


@on_tensorflow
@pytest.mark.parametrize(
    ("position", "received", "alternative"),
    [
        (0, "jit_compile=True", "jit_compile='auto'"),
        (1, "steps_per_execution=4", "larger batch_size"),
        (2, "gradient_accumulation_steps=2", "larger batch_size"),
    ],
)
def test_options_that_break_it_are_refused(runs, position, received, alternative):
    message = runs[2]["refused"][position]
    assert f"Received: {received} inside a strategy's scope" in message
    assert alternative in message


@pytest.mark.skipif(keras.backend.backend() == "tensorflow", reason="for the other backends")
def test_other_backends_are_told_what_to_do():
    with pytest.raises(RuntimeError, match="KERAS_BACKEND=tensorflow"):
        kr.training.mirrored_strategy()


def test_number_of_processors_is_checked():
    with pytest.raises(ValueError, match="`num_logical_cpus` must be a positive integer"):
        kr.training.mirrored_strategy(num_logical_cpus=0)
