"""The search within a budget."""

import pytest


@pytest.mark.slow
def test_search(run, tmp_path):
    result = run("search.py", tmp_path / "out", "--retrain")
    wanted = {"trials", "feasible_share", "best_metric", "baseline_metric", "oracle_time_share"}
    assert wanted <= set(result)
    assert result["feasible_share"] == 1
    left = tmp_path / "out" / "winner"
    assert (left / "winner.keras").exists()
    assert (left / "bundle" / "manifest.json").exists()


@pytest.mark.slow
def test_search_by_workers(run, tmp_path):
    result = run("search.py", tmp_path / "out", "--workers", "2")
    assert (result["trials"], result["feasible_share"]) == (4, 1)
    assert (tmp_path / "out" / "worker1.txt").exists()
