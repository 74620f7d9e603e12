"""What a bundle's latency report holds: on the bundle that other tests share."""

import json
import subprocess
import sys

import keras
import pytest

from kranking.export.functions._served_function import is_of_request
from kranking.serving import Latencies, ServingLatency, serving_latency

pytestmark = pytest.mark.once


def test_figures_are_ratios_to_the_onnx_file():
    batches = {
        1: Latencies({"onnx": (1.0, 2.0), "saved_model": (4.0, 8.0)}, 0, 1, 1, "m"),
        100: Latencies(
            {"onnx": (10.0,), "baseline onnx": (15.0,), "baseline saved_model": (30.0,)},
            0,
            100,
            1,
            "m",
        ),
    }
    ranked = Latencies({"rank": (2.0,), "serve": (6.0,)}, 0, 500, 1, "m")
    measured = ServingLatency(batches, ranked, 3.5, {1: 0.5, 100: 5.0}, 100.0)
    assert measured.figures() == {
        "speedup_1": 4.0,
        "over_floor_1": 3.0,
        "speedup_over_baseline_100": 1.5,
        "speedup_over_baseline_saved_model_100": 3.0,
        "over_floor_100": 2.0,
        "rank_speedup_500": 3.0,
        "rank_bound_500": 3.5,
    }
    assert "3.00 times as fast as flat rows" in measured.to_markdown()


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="the same on every backend")
@pytest.mark.slow
def test_command_measures_a_bundle(awkward, tmp_path):
    options = ["--batches", "2", "--candidates", "3", "--rounds", "10", "--out", str(tmp_path)]
    # In a process of its own: TensorFlow takes its number of threads once.
    command = [sys.executable, "-m", "kranking.export", "latency", str(awkward.folder), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert set(json.loads((tmp_path / "result.json").read_text())) == {"speedup_2", "over_floor_2"}
    found = json.loads((tmp_path / "latency.json").read_text())["by_batch"]["2"]
    names = {"onnx", "saved_model", "onnx serve", "saved_model serve"}
    assert set(found["milliseconds"]) == names
    assert found["threads"] == 1
    assert (tmp_path / "latency.png").stat().st_size > 1_000
    assert "| 2 | saved_model serve |" in done.stdout


def test_work_of_a_request_is_that_of_its_fields(awkward):
    encoder = awkward.model.encoder
    shared = [encoder.field_work(f) for f in awkward.model.features if is_of_request(f)]
    others = [encoder.field_work(f) for f in awkward.model.features if not is_of_request(f)]
    whole = sum(work.matmul_flops for work in (*shared, *others))
    assert whole == encoder.work().matmul_flops


@pytest.mark.parametrize(("name", "value"), [("batches", [0]), ("batches", []), ("threads", 0)])
def test_arguments_are_checked(awkward, name, value):
    with pytest.raises(ValueError, match=f"`{name}`"):
        serving_latency(awkward.folder, **{name: value})
