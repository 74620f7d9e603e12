"""The page of architectures, and pruning."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_page_of_architectures_is_up_to_date(run, tmp_path):
    result = run("architectures.py", tmp_path / "out")
    written = [p.relative_to(tmp_path / "out") for p in (tmp_path / "out").rglob("*.*")]
    assert len(written) == len(result) + 2
    for path in written:
        if path.name != "result.json":
            assert (tmp_path / "out" / path).read_text() == (ROOT / "docs" / path).read_text(), path


@pytest.mark.slow
def test_pruning(run, tmp_path):
    result = run("pruning.py", tmp_path / "out")
    assert {"auc_0", "auc_0.8", "auc_change_0.8", "latency_ratio_0.8"} <= set(result)
    assert 0.35 < result["zeros_embeddings_0.8"] < 0.36  # 0.444 times the target
