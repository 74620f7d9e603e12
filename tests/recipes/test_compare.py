"""The recipes that compare architectures."""

import pytest


@pytest.mark.slow
def test_compare(run, tmp_path):
    result = run("compare.py", tmp_path / "out")
    figures = {"metric", "memory_bytes", "latency_ratio", "hyperparameters", "spread", "stable"}
    names = ("stacked_4", "stacked_5")
    assert set(result) == {f"{name}.{figure}" for name in names for figure in figures}
    assert result["stacked_5.memory_bytes"] > result["stacked_4.memory_bytes"]
    assert (tmp_path / "out" / "report.html").exists()


@pytest.mark.slow
def test_learning_experiments(run, tmp_path):
    result = run("learning_experiments.py", tmp_path / "out")
    assert {"parallel_2x2.gain", "parallel_3x2.gain", "parallel_4x2.gain"} <= set(result)
    assert "parallel: " in (tmp_path / "out" / "learning.md").read_text()
