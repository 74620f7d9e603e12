"""Architectures over seeds."""

import importlib
import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
KUAIRAND = Path(os.environ.get("KRANKING_DATA", ROOT / "../shared/data")) / "kuairand_pure"

needs_kuairand = pytest.mark.skipif(not KUAIRAND.exists(), reason="KuaiRand-Pure is not here")


@needs_kuairand
@pytest.mark.slow
def test_seeds_on_kuairand(run, tmp_path):
    wanted = ["--data", str(KUAIRAND), "--architectures", "pinterest_launch", "--seeds", "1"]
    result = run("seeds.py", tmp_path / "out", *wanted)
    assert {"auc_click_pinterest_launch", "hit3_pinterest_launch", "hit3_random"} <= set(result)


def test_kuairand_features_do_not_look_into_the_future(monkeypatch):
    """Monthly averages hold the test days; what a user did is known only after the answer."""
    monkeypatch.syspath_prepend(str(ROOT / "recipes"))
    features, tasks = importlib.import_module("logs").kuairand_declarations()
    columns = {column for feature in features for column in feature.columns}
    assert "duration_ms" in columns
    outcomes = {"play_time_ms", "profile_stay_time", "comment_stay_time", "long_view"}
    assert not columns & (outcomes | {name for task in tasks for name in task.columns})
    assert not [c for c in columns if c.startswith(("stat_", "is_"))]


@pytest.mark.slow
def test_seeds_goes_on_where_it_was_stopped(run, tmp_path):
    out = tmp_path / "out"
    wanted = ["--architectures", "mlp", "--rows", "4000"]
    first = run("seeds.py", out, *wanted, "--seeds", "1")
    kept = out / "mlp-seed0.json"
    before = kept.stat().st_mtime_ns
    result = run("seeds.py", out, *wanted, "--seeds", "2")
    assert kept.stat().st_mtime_ns == before
    assert (out / "mlp-seed1.json").exists()
    assert {"hit3_mlp", "hit3_mlp_sd", "hit3_mlp_gap", "hit3_random", "hit3_bayes"} <= set(result)
    assert first["auc_save_bayes"] == result["auc_save_bayes"]
    with pytest.raises(AssertionError, match="trained otherwise"):
        run("seeds.py", out, *wanted, "--scale", "0.5")
