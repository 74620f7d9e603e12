"""Every recipe runs as a reader would run it: by its command, in a process of its own."""

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import pytest

ROOT = Path(__file__).parents[1]
KUAIRAND = Path(os.environ.get("KRANKING_DATA", ROOT / "../shared/data")) / "kuairand_pure"

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="one session runs the recipes, to save time"
)
needs_kuairand = pytest.mark.skipif(not KUAIRAND.exists(), reason="KuaiRand-Pure is not here")


def run(recipe: str, out: Path, *arguments: str) -> dict[str, float]:
    """Runs `recipes/recipe --smoke` and gives its result.json."""
    command = [sys.executable, str(ROOT / "recipes" / recipe), "--smoke", "--out", str(out)]
    environment = {**os.environ, "MPLBACKEND": "agg"}
    done = subprocess.run(
        [*command, *arguments],
        cwd=out.parent,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    result = json.loads((out / "result.json").read_text())
    assert all(isinstance(value, float) for value in result.values()), result
    return result


def test_homefeed(tmp_path):
    result = run("homefeed.py", tmp_path / "out")
    wanted = {"auc_save", "auc_closeup", "auc_hide", "hit3_baseline", "hit3_launch"}
    assert wanted | {"parity_onnx", "parity_saved_model", "latency_ratio"} <= set(result)
    assert max(result["parity_onnx"], result["parity_saved_model"]) <= 1e-5
    names = ("pinterest_baseline", "pinterest_launch")
    left = {f"{name}.keras" for name in names} | {"report.md", "training.png"}
    assert left <= {path.name for path in (tmp_path / "out").iterdir()}
    for name in names:
        assert (tmp_path / "out" / "bundles" / name / "manifest.json").exists()


def test_learning_experiments(tmp_path):
    result = run("learning_experiments.py", tmp_path / "out")
    assert {"parallel_2x2.gain", "parallel_3x2.gain", "parallel_4x2.gain"} <= set(result)
    assert "parallel: " in (tmp_path / "out" / "learning.md").read_text()


def test_launch_finds_sizes_once(tmp_path):
    result = run("launch.py", tmp_path / "out")
    assert result["pinterest_baseline.memory_points"] == 0
    assert {"launch_narrowed.metric", "launch_published.latency_ratio"} <= set(result)
    sizes = json.loads((tmp_path / "out" / "sizes.json").read_text())
    assert sizes["ratio"] in [tried["ratio"] for tried in sizes["tried"]]
    assert "launch_narrowed" in (tmp_path / "out" / "page.md").read_text()


@needs_kuairand
def test_seeds_on_kuairand(tmp_path):
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
    assert not columns & (outcomes | {task.column for task in tasks})
    assert not [c for c in columns if c.startswith(("stat_", "is_"))]


def test_seeds_goes_on_where_it_was_stopped(tmp_path):
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


def test_frappe_on_rows_made_up(tmp_path):
    result = run("frappe.py", tmp_path / "out", "--model", "DCNv2")
    wanted = {"auc_mean", "auc_std", "logloss_mean", "params", "seconds_per_epoch"}
    assert set(result) == wanted
    rows = json.loads((tmp_path / "out" / "rows.json").read_text())
    assert [(row["model"], row["seed"]) for row in rows] == [("DCNv2", 2021)]
    again = run("frappe.py", tmp_path / "out", "--model", "DCNv2")  # reads the row
    assert again == result


def test_table_of_frappe_is_up_to_date(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(ROOT / "recipes"))
    frappe = importlib.import_module("frappe")
    page = tmp_path / "results.md"
    page.write_text((ROOT / "docs" / "results.md").read_text())
    frappe.write_table(page, frappe.table(frappe.read_rows(frappe.ROWS)))
    assert page.read_text() == (ROOT / "docs" / "results.md").read_text()


def test_page_of_architectures_is_up_to_date(tmp_path):
    result = run("architectures.py", tmp_path / "out")
    written = [p.relative_to(tmp_path / "out") for p in (tmp_path / "out").rglob("*.*")]
    assert len(written) == len(result) + 2
    for path in written:
        if path.name != "result.json":
            assert (tmp_path / "out" / path).read_text() == (ROOT / "docs" / path).read_text(), path


def test_pruning(tmp_path):
    result = run("pruning.py", tmp_path / "out")
    assert {"auc_0", "auc_0.8", "auc_change_0.8", "latency_ratio_0.8"} <= set(result)
    assert 0.35 < result["zeros_embeddings_0.8"] < 0.36  # 0.444 times the target


def test_guard_overhead(tmp_path):
    result = run("benchmarks/guard_overhead.py", tmp_path / "out")
    assert {"overhead_share", "step_ms"} <= set(result)


def test_own_log(tmp_path):
    result = run("own_log.py", tmp_path / "out")
    assert {"auc_like", "ne_finish", "hit3_like", "parity_onnx"} <= set(result)
    assert (tmp_path / "out" / "bundle" / "manifest.json").exists()


def test_compare(tmp_path):
    result = run("compare.py", tmp_path / "out")
    figures = {"metric", "memory_bytes", "latency_ratio", "hyperparameters", "spread", "stable"}
    names = ("stacked_4", "stacked_5")
    assert set(result) == {f"{name}.{figure}" for name in names for figure in figures}
    assert result["stacked_5.memory_bytes"] > result["stacked_4.memory_bytes"]
    assert (tmp_path / "out" / "report.html").exists()


def test_search(tmp_path):
    result = run("search.py", tmp_path / "out", "--retrain")
    wanted = {"trials", "feasible_share", "best_metric", "baseline_metric", "oracle_time_share"}
    assert wanted <= set(result)
    assert result["feasible_share"] == 1
    left = tmp_path / "out" / "winner"
    assert (left / "winner.keras").exists()
    assert (left / "bundle" / "manifest.json").exists()


@pytest.mark.slow
def test_search_by_workers(tmp_path):
    result = run("search.py", tmp_path / "out", "--workers", "2")
    assert (result["trials"], result["feasible_share"]) == (4, 1)
    assert (tmp_path / "out" / "worker1.txt").exists()


def test_feature_importance_of_a_model_that_is_there(tmp_path):
    out = tmp_path / "out"
    first = run("feature_importance.py", out)
    assert {"save.ne", "save.engaged_pins.change", "hide.cover.rank"} <= set(first)
    assert {"importance.md", "importance.json", "importance.png"} <= {p.name for p in out.iterdir()}
    before = (out / "model.keras").stat().st_mtime_ns
    assert run("feature_importance.py", out) == first
    assert (out / "model.keras").stat().st_mtime_ns == before


def test_recurring(tmp_path):
    result = run("recurring.py", tmp_path / "out")
    assert {"period2.save_ne.recurring", "period3.save_calibration.frozen"} <= set(result)
    assert result["period2.save_ne.gain"] == 0  # one model, until there is more to train on
    assert (tmp_path / "out" / "recurring.png").exists()


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


def test_cost_model_times_served_models_once(tmp_path):
    for _ in range(2):  # the second finds the rows of the first
        result = run("benchmarks/cost_model.py", tmp_path / "out", "--stage", "latency")
        rows = (tmp_path / "out" / "rows.json").read_text()
    assert result["latency_models"] == 1  # the other is of a seed of the fit
    for row in json.loads(rows):
        assert {batch: len(visits) for batch, visits in row["served"].items()} == dict.fromkeys(
            ("1", "100", "500"), 1
        )
