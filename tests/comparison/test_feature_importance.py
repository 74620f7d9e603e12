"""Importance of features, on rows whose answer can be computed."""

import json

import keras
import numpy as np
import pytest

import kranking as kr
from kranking.comparison import feature_importance
from kranking.comparison._feature_importance import movable
from kranking.comparison._session_values import calibration_by_session, entropy_by_session
from kranking.features import Categorical, Embedding, Numeric, Sequence

ROWS = 240


def numeric(name, **arguments):
    return Numeric(name, mean=0.0, std=1.0, **arguments)


@pytest.fixture(scope="module")
def linear():
    """A model whose logits are known: `save = 2 a`, `hide = a + b`; `still` has weight and never varies."""
    features = [numeric("a"), numeric("b"), numeric("unused"), numeric("still")]
    model = kr.RankingModel(features, [], [kr.Task("save"), kr.Task("hide")])
    random = np.random.default_rng(0)
    x = {f.name: random.standard_normal(ROWS).astype("float32") for f in features}
    x["still"][:] = 0.5
    model(x)
    kernels = {"save": [2, 0, 0, 1], "hide": [1, 1, 0, 0]}
    for variable in model.trainable_variables:
        if variable.shape == (4, 2):
            variable.assign(np.stack([kernels["save"], kernels["hide"]], 1))
    chances = {"save": 1 / (1 + np.exp(-2 * x["a"] - 0.5)), "hide": 0.3}
    y = {t: (random.random(ROWS) < p).astype("float32") for t, p in chances.items()}
    session = np.repeat(np.arange(ROWS // 4), 4)
    return model, (x, y), session


@pytest.fixture(scope="module")
def report(linear):
    model, rows, session = linear
    return feature_importance(model, rows, session, repeats=20, verbose=0)


def loss(y, logits):
    return np.logaddexp(0, logits) - y * logits


def test_change_is_that_of_all_pairings(linear, report):
    """The mean over all permutations is the mean over all pairs of a label and another row's value."""
    _, (x, y), _ = linear
    y, a = y["save"].astype("float64"), x["a"].astype("float64")
    logits = 2 * a + 0.5
    q = y.mean()
    entropy = -q * np.log(q) - (1 - q) * np.log(1 - q)
    expected = (loss(y[:, None], logits[None, :]).mean() - loss(y, logits).mean()) / entropy
    found = report["a"].changes["save"]
    assert found.low < expected < found.high
    assert found.estimate == pytest.approx(expected, rel=0.1)
    assert report.normalized_entropy["save"] == pytest.approx(loss(y, logits).mean() / entropy)


def test_what_a_model_does_not_use_is_worth_nothing(report):
    for name in ("unused", "still"):
        assert report[name].changes["save"] == kr.comparison.Interval(0, 0, 0)
    assert (report["unused"].varies, report["still"].varies) == (True, False)
    assert report["b"].changes["save"].estimate == 0
    assert report["b"].changes["hide"].estimate != 0


def test_ranks(report):
    assert report.ranked()[0].name == "a"
    assert report.ranks("save")["a"] == (1, 1, 1)
    assert report.ranks("save")["b"][1:] == (2, 4)  # three of change 0, in any order


def test_report_in_every_form(report, tmp_path):
    report.write(tmp_path)
    text = (tmp_path / "importance.md").read_text()
    assert "| 1 | 1 | a | +" in text
    assert "constant" in text
    assert "the same model input in every row: still." in text
    found = json.loads((tmp_path / "importance.json").read_text())
    assert [row["name"] for row in found["rows"]] == ["a", "b", "unused", "still"]
    assert found["rows"][0]["ranks"]["save"] == [1, 1, 1]
    assert (tmp_path / "importance.png").stat().st_size > 1000
    assert "unused" in str(report)
    with pytest.raises(ValueError, match=r"`task` must be one of \['save', 'hide'\]"):
        report.table("closeup")


def test_a_masked_task_is_undefined_where_nothing_is_left(linear):
    model, (x, y), session = linear
    weight = {"save": np.ones(ROWS, "float32"), "hide": np.zeros(ROWS, "float32")}
    found = feature_importance(
        model, [(x, y | {"hide": y["hide"] * np.nan}, weight)], session, repeats=1, verbose=0
    )
    assert np.isnan(found["a"].changes["hide"].estimate)
    assert "NE of hide is undefined" in found.to_markdown("hide")
    assert found.ranks("hide") == {}
    assert found.to_json()["rows"][0]["changes"]["hide"]["estimate"] is None


@pytest.mark.parametrize("values", [entropy_by_session, calibration_by_session])
def test_interval_over_sessions_is_that_of_a_bootstrap(values):
    """Sessions of unequal length and rate: the spread of the values is that of redrawn sessions."""
    random = np.random.default_rng(1)
    size = random.integers(1, 12, 300)
    index = np.repeat(np.arange(300), size)
    logits = random.normal(size=len(index)) + np.repeat(random.normal(size=300), size) - 1
    y = (random.random(len(index)) < 1 / (1 + np.exp(-logits))).astype("float64")
    weight = random.uniform(0.5, 2, len(index))
    found = values(y, logits, weight, index)
    rows = [np.flatnonzero(index == s) for s in range(300)]
    drawn = []
    for _ in range(400):
        kept = np.concatenate([rows[s] for s in random.integers(0, 300, 300)])
        drawn.append(values(y[kept], logits[kept], weight[kept], np.zeros(len(kept), int)).mean())
    assert np.std(drawn) == pytest.approx(found.std(ddof=1) / np.sqrt(300), rel=0.15)


def test_a_feature_moves_as_a_whole(monkeypatch):
    """Ids, kinds and ages of a sequence, all values of a list: each row's, together, from another row."""
    video = Categorical("video", vocabulary=tuple(range(50)), embedding_dim=2)
    features = [
        video,
        Sequence("watched", of="video", max_length=3, action="kinds", action_vocabulary=("a", "b"),
                 time="times", request_time="now"),
        Categorical("tags", vocabulary=(1, 2, 3), max_length=3, embedding_dim=2),
        Embedding("cover", dim=3),
        numeric("length"),
        Numeric("length_bucket", column="length", transform="bucketize", boundaries=(0.0,)),
    ]  # fmt: skip
    model = kr.RankingModel(features, [kr.layers.MLP([2])], [kr.Task("save")])
    seen, collect = [], kr.training.RankingEvaluation.collect

    def watched(evaluation, model):
        seen.append(evaluation.data[0])
        return collect(evaluation, model)

    monkeypatch.setattr(kr.training.RankingEvaluation, "collect", watched)
    lists = [[10 + r] * (r % 4) for r in range(30)]
    x = model.preprocess(
        {
            "video": np.arange(30), "watched": lists, "now": np.full(30, 1000),
            "kinds": [["a"] * len(row) for row in lists], "times": [[r] * (r % 4) for r in range(30)],
            "tags": [[1] * (r % 3) for r in range(30)], "cover": np.eye(3)[np.arange(30) % 3],
            "length": np.linspace(-1, 1, 30),
        }
    )  # fmt: skip
    y = {"save": np.arange(30) % 2}
    found = feature_importance(model, (x, y), repeats=2, verbose=0)
    wanted = ["video", "watched", "tags", "cover", "length + length_bucket"]
    assert [row.name for row in found.rows] == wanted
    assert len(seen) == 1 + 2 * len(wanted)
    for name, dealt in zip([n for n in wanted for _ in range(2)], seen[1:]):
        inputs = sorted(i for f in movable(features, {})[name] for i in f.inputs())
        assert inputs == sorted(key for key in x if not np.array_equal(x[key], dealt[key]))
        before, after = (
            sorted(map(tuple, np.concatenate([np.reshape(p[i], (30, -1)) for i in inputs], 1)))
            for p in (x, dealt)
        )
        assert before == after  # the same rows, whole, in another order


def test_groups_are_added_to_columns():
    features = [numeric("a"), numeric("b", column="a"), numeric("c"), numeric("d")]
    names = {name: [f.name for f in found] for name, found in movable(features, {}).items()}
    assert names == {"a + b": ["a", "b"], "c": ["c"], "d": ["d"]}
    grouped = movable(features, {"both": ["b", "c"]})
    assert {n: [f.name for f in g] for n, g in grouped.items()} == {
        "both": ["b", "c"],
        "a": ["a"],
        "d": ["d"],
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"groups": {"g": ["a", "z"]}},
            "`groups` must contain features .* Received: 'z', which is no",
        ),
        ({"groups": {"g": ["a"], "h": ["a"]}}, "Received: 'a', which is in two"),
        (
            {"groups": {"b": ["a"]}},
            "names of `groups` must differ from those of ungrouped features. Received: 'b'",
        ),
        ({"repeats": 0}, "`repeats` must be a positive integer"),
        ({"seed": -1}, "`seed` must be an integer of at least 0"),
    ],
)
def test_rejects(linear, options, message):
    model, rows, session = linear
    with pytest.raises(ValueError, match=message):
        feature_importance(model, rows, session, verbose=0, **options)


def test_rejects_what_declares_nothing(linear):
    _, rows, _ = linear
    with pytest.raises(ValueError, match=r"`model` must be a kranking\.RankingModel"):
        feature_importance(keras.Sequential(), rows)


def test_rejects_a_model_that_is_broken(linear):
    model, (x, y), _ = linear
    with pytest.raises(
        ValueError,
        match=r"`model` must return finite scores\. Received: 1 non-finite scores for task",
    ):
        feature_importance(
            model, (x | {"a": np.where(np.arange(ROWS) == 3, np.nan, x["a"])}, y), verbose=0
        )
