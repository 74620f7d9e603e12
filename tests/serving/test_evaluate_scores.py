"""Metrics of a scored log are those of the model on the same rows."""

from dataclasses import replace

import keras
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import kranking as kr
from kranking.metrics import HitAtK
from kranking.serving import evaluate_scores

pytestmark = pytest.mark.once

N = 400
TASKS = [kr.Task("save"), kr.Task("hide", label="hidden", nulls="mask")]
METRICS = ["auc", "gauc", "hit@2", "ne", "logloss", "calibration", HitAtK(2, "any", 3)]


def table(seed=0):
    random = np.random.default_rng(seed)
    age = random.normal(40, 10, N)
    hidden = (random.random(N) < 0.3).astype(float)
    hidden[random.random(N) < 0.2] = np.nan
    return pa.table(
        {
            "age": age,
            "save": (random.random(N) < 1 / (1 + np.exp((40 - age) / 5))).astype("int8"),
            "hidden": pa.array(hidden, from_pandas=True),
            "visit": [f"v{i}" for i in np.sort(random.integers(0, 80, N))],
            "user": random.integers(0, 20, N),
            "weight": random.choice([0.0, 1.0, 2.0], N),
        }
    )


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    keras.utils.set_random_seed(0)
    model = kr.RankingModel(
        [kr.features.Numeric("age", mean=40.0, std=10.0)], [kr.layers.MLP([4])], TASKS
    )
    folder = tmp_path_factory.mktemp("scores") / "bundle"
    kr.export.export_model(model, folder, formats=["onnx"], signatures=["serve"])
    return model, folder


def test_scores_have_the_metrics_of_the_model(bundle, tmp_path):
    model, folder = bundle
    pq.write_table(table(), tmp_path / "log.parquet", row_group_size=150)
    keep = ["save", "hidden", "visit", "user", "weight"]
    scores = kr.serving.score_parquet(
        folder, tmp_path / "log.parquet", tmp_path / "out", keep=keep, block_rows=90, threads=1
    )
    how = {"session": "visit", "group": "user", "metrics": METRICS}
    found = evaluate_scores(scores, TASKS, sample_weight="weight", **how)
    rows = kr.data.read_parquet(tmp_path / "log.parquet", model, sample_weight="weight")
    expected = kr.training.RankingEvaluation(rows, prefix="", **how).evaluate(model)
    assert found == pytest.approx(expected, abs=1e-6)
    assert list(found) == list(expected)
    assert np.isfinite(list(found.values())).all()
    kept = pq.read_table(tmp_path / "out")
    assert kept.column_names == ["save_label", *keep[1:], "save", "hide"]
    assert kept["save_label"].equals(table()["save"])
    plain = kr.serving.score_parquet(folder, table(), tmp_path / "plain", threads=1)
    np.testing.assert_array_equal(pq.read_table(plain.directory)["save"], kept["save"])
    (tmp_path / "out" / "part-000002.parquet").unlink()
    with pytest.raises(
        ValueError, match=r"must have the 400 rows of its _scores\.json.*: 310 rows"
    ):
        evaluate_scores(tmp_path / "out", TASKS)


ROWS = {"save_label": [1, 0, 1], "save": [0.9, 0.8, 0.3], "visit": [1, 1, 2]}


@pytest.mark.parametrize(
    ("change", "arguments", "match"),
    [
        ({"save_label": [1, 2, 0]}, {}, r"Task 'save' does not accept labels outs.*2.0 in column 'save'"),
        ({"save": [0.9, 1.5, 0]}, {}, r"must contain probabilities.*Received: 1.5"),
        ({"save": [0.9, None, 0]}, {}, r"must contain probabilities.*Received: nan"),
        ({"save": ["a", "b", "c"]}, {}, "wrong type in column 'save'"),
        ({"visit": [1, None, 2]}, {}, "`session` must not be null"),
        ({"visit": [[1], [2], [1]]}, {}, "`session` must have one value per row. Received: a ndarray"),
        ({"visit": [{"a": 1}] * 3}, {}, "`session` must have one value per row. Received: a dict"),
        ({}, {"tasks": None}, "`tasks` must be a list of tasks or names. Received: tasks=None"),
        ({}, {"tasks": {"save"}}, "`tasks` must be a list of tasks or names"),
        ({}, {"tasks": ["like"]}, r"`keep` of score_parquet.*without \['like', 'like_label'\]"),
        ({}, {"tasks": []}, "`tasks` must be at least one"),
        ({}, {"tasks": ["save", "save"]}, "`tasks` must have different names"),
        ({}, {"session": None}, "`session` is required by metric 'gauc'"),
        ({}, {"metrics": ["mrr"]}, "`metrics` must be names in"),
    ],
)  # fmt: skip
def test_wrong_rows_and_arguments_are_refused(change, arguments, match):
    with pytest.raises(ValueError, match=match):
        evaluate_scores(ROWS | change, **{"tasks": "save", "session": "visit"} | arguments)


def test_labels_by_rule_are_those_of_the_kept_columns(bundle, tmp_path):
    rated = table().append_column("rating", pa.array(np.arange(N) % 5 + 1))
    good, best = (
        kr.Task("save", when="rating >= 4"),
        kr.Task("hide", when="rating == 5 or hidden > 0"),
    )
    keep = [*good.columns, *best.columns[1:], "visit"]
    scores = kr.serving.score_parquet(bundle[1], rated, tmp_path / "out", keep=keep, threads=1)
    found = evaluate_scores(scores, [good, replace(best, nulls="mask")], session="visit")
    kept = pq.read_table(tmp_path / "out")
    rating, hidden = kept["rating"].to_numpy(), kept["hidden"].to_numpy()
    seen = (rating == 5) | ~np.isnan(hidden)
    probability = kept["hide"].to_numpy().astype(float)
    expected = kr.metrics.auc((rating == 5) | (hidden > 0), probability, seen * 1.0)
    assert found["hide_auc"] == pytest.approx(expected)
    labels = {
        "save_label": (rating >= 4) * 1,
        "save": kept["save"],
        "v": kept["visit"],
    }
    whole = evaluate_scores(labels, "save", session="v")
    assert {k: found[k] for k in whole} == whole
    with pytest.raises(
        ValueError, match=r"Task 'save' does not accept null.* rating=None, row 0 of the"
    ):
        evaluate_scores({"rating": [None, 4], "save": [0.5, 0.5]}, good, metrics=["auc"])
    with pytest.raises(
        ValueError, match="Task 'save' with the rule 'rating >= 4' cannot compare column"
    ):
        evaluate_scores({"rating": ["4"], "save": [0.5]}, good, metrics=["auc"])
