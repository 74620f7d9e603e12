"""Trials that train on several devices: `tf.distribute` on TensorFlow, `keras.distribution` on JAX."""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import pytest

from kranking.data import read_parquet
from kranking.search import Training
from kranking.training import RankingEvaluation

BACKEND = keras.backend.backend()
CHILD = Path(__file__).with_name("distributed_child.py")


@pytest.mark.skipif(BACKEND != "tensorflow", reason="tf.distribute is TensorFlow's")
@pytest.mark.slow
def test_every_trial_trains_on_two_replicas(log, tmp_path, two_replicas, distributed_search):
    check(distributed_search(log, tmp_path / "out", two_replicas), log, tmp_path / "out")


@pytest.mark.each_backend
@pytest.mark.skipif(BACKEND != "jax", reason="keras.distribution is JAX's")
def test_every_trial_trains_on_two_devices(log, tmp_path):
    # Devices have to be made before JAX starts, so in another process.
    command = [sys.executable, str(CHILD), str(log.train.parent), str(tmp_path / "out")]
    environment = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    child = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert child.returncode == 0, child.stderr[-3000:]
    check(json.loads(child.stdout.strip().splitlines()[-1]), log, tmp_path / "out")


def check(result, log, out):
    assert [reason for _, _, reason in result["found"]] == ["", ""]
    assert all(0 < metric < 1 for _, metric, _ in result["found"])
    assert set(result["devices"]) == {2}  # of the baseline, the trials and the winner
    assert len(result["devices"]) > 3
    check_on_one_device(log, out / "winner")


def check_on_one_device(log, folder):
    """The winner's test metrics are those that this process finds, which has one device."""
    model = keras.saving.load_model(folder / "winner.keras")
    written = json.loads((folder / "winner.json").read_text())["test"]
    rows = read_parquet(log.test, model=model, batch_size=256)
    found = RankingEvaluation(rows, log.session, ["auc", "ne"], prefix="test_").evaluate(model)
    assert found == pytest.approx({name: written[name] for name in found}, abs=1e-5)


def test_what_is_no_strategy_is_refused():
    with pytest.raises(ValueError, match=r"`strategy` must be a tf.distribute.Strategy"):
        Training(strategy="mirrored")
