"""The recipes that begin with a log and end with an answer."""

import importlib
from pathlib import Path

import keras
import pytest

import kranking as kr

RECIPES = Path(__file__).parents[2] / "recipes"


@pytest.mark.slow  # and in full it is the README's first command
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


@pytest.mark.slow
def test_first_settings_go_on_where_they_stopped(run, tmp_path):
    first = run("first_settings.py", tmp_path / "out")
    rows = (tmp_path / "out" / "rows.jsonl").read_text()
    assert set(first) == {"3000/0.001/0.0", "3000/0.001/1e-06"}
    assert run("first_settings.py", tmp_path / "out") == first
    assert (tmp_path / "out" / "rows.jsonl").read_text() == rows


def test_widths_of_a_model_whose_second_block_reads_numbers(monkeypatch):
    """Such a block has two inputs: the output before it and the model's inputs."""
    monkeypatch.syspath_prepend(str(RECIPES))
    widths = importlib.import_module("homefeed").widths
    features = [kr.features.Numeric(name, mean=0.0, std=1.0) for name in ("n", "m")]
    numbers = keras.Sequential([kr.layers.Concatenate(("numeric",)), kr.layers.MLP([3])])
    blocks = [kr.layers.MLP([5]), kr.layers.Parallel([keras.layers.Identity(), numbers])]
    model = kr.RankingModel(features, blocks, [kr.Task("save")])
    # Dense layers of 2 x 5 + 5, 2 x 3 + 3 and 8 + 1 parameters.
    assert widths(model) == (
        "FieldView 2 → MLP 5 → LaterView 5 + 2 → Parallel 8 → SharedBottom 1; 33 parameters"
    )
