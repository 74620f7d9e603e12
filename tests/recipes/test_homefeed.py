"""The recipes that begin with a log and end with an answer."""

import pytest


def test_homefeed(run, tmp_path):
    result = run("homefeed.py", tmp_path / "out")
    wanted = {"auc_save", "auc_closeup", "auc_hide", "hit3_baseline", "hit3_launch"}
    assert wanted | {"parity_onnx", "parity_saved_model", "latency_ratio"} <= set(result)
    assert max(result["parity_onnx"], result["parity_saved_model"]) <= 1e-5
    names = ("pinterest_baseline", "pinterest_launch")
    left = {f"{name}.keras" for name in names} | {"report.md", "training.png"}
    assert left <= {path.name for path in (tmp_path / "out").iterdir()}
    for name in names:
        assert (tmp_path / "out" / "bundles" / name / "manifest.json").exists()


@pytest.mark.slow
def test_own_log(run, tmp_path):
    result = run("own_log.py", tmp_path / "out")
    assert {"auc_like", "ne_finish", "hit3_like", "parity_onnx"} <= set(result)
    assert (tmp_path / "out" / "bundle" / "manifest.json").exists()
