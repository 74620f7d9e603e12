"""The launch page."""

import json

import pytest


@pytest.mark.slow
def test_launch_finds_sizes_once(run, tmp_path):
    result = run("launch.py", tmp_path / "out")
    assert result["pinterest_baseline.memory_points"] == 0
    assert {"launch_narrowed.metric", "launch_published.latency_ratio"} <= set(result)
    sizes = json.loads((tmp_path / "out" / "sizes.json").read_text())
    assert sizes["ratio"] in [tried["ratio"] for tried in sizes["tried"]]
    assert "launch_narrowed" in (tmp_path / "out" / "page.md").read_text()
