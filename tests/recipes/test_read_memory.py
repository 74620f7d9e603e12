"""The benchmark of a reader's memory."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_smoke(tmp_path):
    recipe = ROOT / "recipes" / "benchmarks" / "read_memory.py"
    command = [sys.executable, str(recipe), "--smoke", "--steps", "3", "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "result.json").read_text())
    assert all(isinstance(value, int | float) for value in result.values())
    assert result["rows"] == 3 * 4096
    assert 0 < result["peak_above_model_mb"] < 1_000
    assert not (tmp_path / "log").exists()
