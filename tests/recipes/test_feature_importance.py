"""What a model lives on, and what training on brings."""

import pytest


@pytest.mark.slow
def test_feature_importance_of_a_model_that_is_there(run, tmp_path):
    out = tmp_path / "out"
    first = run("feature_importance.py", out)
    assert {"save.ne", "save.engaged_pins.change", "hide.cover.rank"} <= set(first)
    assert {"importance.md", "importance.json", "importance.png"} <= {p.name for p in out.iterdir()}
    before = (out / "model.keras").stat().st_mtime_ns
    assert run("feature_importance.py", out) == first
    assert (out / "model.keras").stat().st_mtime_ns == before


@pytest.mark.slow
def test_recurring(run, tmp_path):
    result = run("recurring.py", tmp_path / "out")
    assert {"period2.save_ne.recurring", "period3.save_calibration.frozen"} <= set(result)
    assert result["period2.save_ne.gain"] == 0  # one model, until there is more to train on
    assert (tmp_path / "out" / "recurring.png").exists()
