"""The benchmarks of costs."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_guard_overhead(run, tmp_path):
    result = run("benchmarks/guard_overhead.py", tmp_path / "out")
    assert {"overhead_share", "step_ms"} <= set(result)


@pytest.mark.slow
def test_small_weights(tmp_path):
    rows = tmp_path / "rows.json"
    script = ROOT / "recipes/benchmarks/small_weights.py"
    command = [sys.executable, str(script), "--smoke", "--models", "user_heavy"]
    command += ["--weights", "int8"]
    subprocess.run([*command, "--rows-file", str(rows)], check=True, capture_output=True)
    found = {row["weights"]: row for row in json.loads(rows.read_text())}
    assert found["int8"]["share"] < 0.5  # its tables are small
    assert min(found["int8"]["speedup_1"], found["int8"]["over_saved_model_1"]) > 0


@pytest.mark.slow
@pytest.mark.parametrize("script", ["search_study", "search_launch"])
def test_searches(tmp_path, script):
    rows = tmp_path / "rows.json"
    command = [sys.executable, str(ROOT / f"recipes/benchmarks/{script}.py"), "--smoke"]
    command += ["--rows-file", str(rows)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert "±" in done.stdout
    assert json.loads(rows.read_text())


@pytest.mark.slow
def test_vocabulary(tmp_path):
    rows = tmp_path / "rows.json"
    command = [sys.executable, str(ROOT / "recipes/benchmarks/vocabulary.py"), "--smoke"]
    subprocess.run([*command, "--rows-file", str(rows)], check=True, capture_output=True)
    result = json.loads((tmp_path / "result.json").read_text())
    assert min(result.values()) > 0
    assert len(result) == 4


@pytest.mark.slow
def test_fuzzed_requests(run, tmp_path):
    result = run("benchmarks/fuzz_requests.py", tmp_path / "out")
    assert result["neither"] == 0
    assert min(result["answers"], result["clear_errors"]) > 20


@pytest.mark.slow
def test_fuzzed_inputs(tmp_path):
    script = ROOT / "recipes/benchmarks/fuzz_inputs.py"
    command = [sys.executable, str(script), "--smoke", "--out", str(tmp_path)]
    subprocess.run(command, check=False, capture_output=True)
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["calls"] == 40
    assert result["right"] > 5
    # No silent difference, none refused though valid, no traceback from below, no hang.
    assert result["wrong"] == 0, (tmp_path / "report.md").read_text()
    assert set(result) <= {"calls", "right", "refused", "skipped", "wrong", "faults"}


@pytest.mark.slow
def test_parity(tmp_path):
    rows = tmp_path / "rows.json"
    script = ROOT / "recipes/benchmarks/parity.py"
    for _ in range(2):  # the second finds the rows of the first
        command = [sys.executable, str(script), "--smoke", "--rows-file", str(rows)]
        subprocess.run(command, check=True, capture_output=True)
    found = json.loads(rows.read_text())
    assert [row["architecture"] for row in found] == ["dcn_v2", "transformer"]
    assert all(len(row["reached"]) == 9 for row in found)  # the .keras file's own as well


@pytest.mark.slow
def test_cost_model(tmp_path):
    """The committed rows, judged by the committed factors."""
    command = [
        sys.executable,
        str(ROOT / "recipes/benchmarks/cost_model.py"),
        "--out",
        str(tmp_path),
    ]
    subprocess.run(command, check=True, capture_output=True)
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["models"] >= 30
    assert result["memory_median_error"] <= 0.10
    assert result["memory_worst_error"] <= 0.25
    assert result["flops_mismatches"] == 0
    assert result["latency_models"] >= 30
    assert result["latency_rank_correlation"] >= 0.95


@pytest.mark.slow
def test_cost_model_times_served_models_once(run, tmp_path):
    for _ in range(2):  # the second finds the rows of the first
        result = run("benchmarks/cost_model.py", tmp_path / "out", "--stage", "latency")
        rows = (tmp_path / "out" / "rows.json").read_text()
    assert result["latency_models"] == 1  # the other is of a seed of the fit
    for row in json.loads(rows):
        assert {batch: len(visits) for batch, visits in row["served"].items()} == dict.fromkeys(
            ("1", "100", "500"), 1
        )
