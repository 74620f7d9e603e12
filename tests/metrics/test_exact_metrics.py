"""The NumPy metrics, against scikit-learn, brute force and the data's own reference figures."""

import functools
import itertools
import os
import warnings
from pathlib import Path

import keras
import numpy as np
import pyarrow.parquet as parquet
import pytest

from kranking import metrics as km

sklearn_metrics = pytest.importorskip("sklearn.metrics")
roc_auc_score, sklearn_log_loss = sklearn_metrics.roc_auc_score, sklearn_metrics.log_loss

POINTWISE = [
    km.log_loss, km.normalized_entropy, km.calibration, km.expected_calibration_error,
]  # fmt: skip
log_loss, normalized_entropy, calibration, expected_calibration_error = (
    functools.partial(metric, from_logits=True) for metric in POINTWISE
)

ALL = [km.auc, log_loss, normalized_entropy, calibration, expected_calibration_error]


def rows(n=400, seed=0, levels=None):
    """Labels, scores (`levels` of them, so many ties, if given), groups and weights."""
    rng = np.random.default_rng(seed)
    score = rng.normal(-1, 2, n)
    if levels:
        score = np.round(score * levels / 8) * 8 / levels
    y = (rng.random(n) < 1 / (1 + np.exp(-score))).astype(int)
    return y, score, rng.integers(0, n // 6, n), rng.choice([0.0, 0.5, 1.0, 3.0], n)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def pairs_auc(y, score, weight):
    won = total = 0.0
    for i, j in itertools.product(np.flatnonzero(y == 1), np.flatnonzero(y == 0)):
        total += weight[i] * weight[j]
        won += weight[i] * weight[j] * ((score[i] > score[j]) + 0.5 * (score[i] == score[j]))
    return won / total if total else np.nan


def groups_auc(y, score, groups, weight, average="impressions"):
    total = share = 0.0
    for group in np.unique(groups):
        at = (groups == group) & (weight > 0)
        if len(np.unique(y[at])) == 2:
            n = weight[at].sum() if average == "impressions" else 1
            share, total = (
                share + n,
                total + n * roc_auc_score(y[at], score[at], sample_weight=weight[at]),
            )
    return total / share


@pytest.mark.parametrize("levels", [None, 8, 1])
@pytest.mark.parametrize("seed", range(3))
def test_auc(levels, seed):
    y, score, _, w = rows(seed=seed, levels=levels)
    np.testing.assert_allclose(km.auc(y, score), roc_auc_score(y, score), rtol=1e-12)
    expected = roc_auc_score(y, score, sample_weight=w)
    np.testing.assert_allclose(km.auc(y, score, w), expected, rtol=1e-12)
    few = slice(60)
    expected = pairs_auc(y[few], score[few], w[few])
    np.testing.assert_allclose(km.auc(y[few], score[few], w[few]), expected, rtol=1e-12)


@pytest.mark.parametrize("change", [np.exp, sigmoid, lambda s: s**3 - 7, lambda s: s * 1e-30])
def test_auc_ignores_monotone_maps_and_row_order(change):
    y, score, groups, w = rows(levels=16)
    order = np.random.default_rng(1).permutation(len(y))
    assert km.auc(y, change(score), w) == km.auc(y, score, w)
    assert km.grouped_auc(y, change(score), groups, w) == km.grouped_auc(y, score, groups, w)
    np.testing.assert_allclose(km.auc(y[order], score[order], w[order]), km.auc(y, score, w))
    flipped = 1 - km.auc(y, -score, w)
    np.testing.assert_allclose(flipped, km.auc(y, score, w), rtol=1e-12)


@pytest.mark.parametrize("average", ["impressions", "groups"])
@pytest.mark.parametrize("levels", [None, 8])
def test_grouped_auc(levels, average):
    y, score, groups, w = rows(levels=levels)
    expected = groups_auc(y, score, groups, w, average)
    assert abs(km.grouped_auc(y, score, groups, w, average) - expected) < 1e-12
    names = np.array([f"user {g}" for g in groups])
    assert abs(km.grouped_auc(y, score, names, w, average) - expected) < 1e-12
    ones = np.ones_like(w)
    assert abs(
        km.grouped_auc(y, score, groups, average=average)
        - groups_auc(y, score, groups, ones, average)
    ) < 1e-12  # fmt: skip


def test_grouped_auc_of_one_group_is_auc():
    y, score, _, w = rows(levels=8)
    assert km.grouped_auc(y, score, np.zeros(len(y)), w) == km.auc(y, score, w)


def test_groups_of_one_class_do_not_count():
    y, score, groups, _ = rows()
    more = (
        np.r_[y, np.ones(50, int)],
        np.r_[score, np.full(50, 9.0)],
        np.r_[groups, np.full(50, 999)],
    )
    assert km.grouped_auc(*more) == km.grouped_auc(y, score, groups)


def test_log_loss_ne_and_calibration():
    y, z, _, w = rows()
    p = sigmoid(z)
    loss = sklearn_log_loss(y, p, sample_weight=w)
    base = np.average(y, weights=w)
    np.testing.assert_allclose(log_loss(y, z, w), loss)
    entropy = -(base * np.log(base) + (1 - base) * np.log(1 - base))
    np.testing.assert_allclose(normalized_entropy(y, z, w), loss / entropy)
    np.testing.assert_allclose(calibration(y, z, w), np.sum(w * p) / np.sum(w * y))
    np.testing.assert_allclose(log_loss(y, z), sklearn_log_loss(y, p))


@pytest.mark.parametrize("base", [1e-6, 0.02, 0.5])
def test_constant_predictor(base):
    y = np.r_[1.0, 0.0]
    w = np.r_[base, 1 - base]
    z = np.full(2, np.log(base / (1 - base)))
    assert abs(normalized_entropy(y, z, w) - 1) < 1e-12
    assert abs(calibration(y, z, w) - 1) < 1e-9
    assert expected_calibration_error(y, z, w) < 1e-12
    assert km.auc(y, z, w) == 0.5


@pytest.mark.parametrize("metric", POINTWISE)
def test_probabilities_are_as_good_as_logits(metric):
    y, z, _, w = rows()
    p = sigmoid(z)
    np.testing.assert_allclose(metric(y, p, w), metric(y, z, w, from_logits=True), rtol=1e-12)
    with pytest.raises(ValueError, match=r"must be probabilities in \[0, 1\].*from_logits=True"):
        metric(y, z, w)
    outside = np.where(w > 0, p, 7.0)  # in rows that do not count
    assert metric(y, outside, w) == metric(y, p, w)
    with pytest.raises(ValueError, match="`from_logits` must be one of"):
        metric(y, p, from_logits="no")


def test_tensors_are_arrays():
    """On PyTorch, those of a model have a gradient."""
    y, z, groups, w = rows(60)
    inputs = keras.Input((1,))
    model = keras.Model(inputs, keras.layers.Dense(1, kernel_initializer="ones")(inputs))
    tensor = model(z[:, None].astype("float32"))
    score = z.astype("float32")
    np.testing.assert_allclose(log_loss(y, tensor, w), log_loss(y, score, w), rtol=1e-6)
    assert km.auc(y, tensor, w) == km.auc(y, score, w)
    assert km.grouped_auc(y, tensor, groups, w) == km.grouped_auc(y, score, groups, w)
    assert km.HitAtK(1)(y, tensor, groups) == km.HitAtK(1)(y, score, groups)
    with pytest.raises(ValueError, match=r"must be probabilities in \[0, 1\]"):
        km.log_loss(y, tensor)


def test_impossible_rows_have_an_infinite_loss():
    certain = np.array([1.0, 0.0])
    assert km.log_loss([1, 0], certain) == km.normalized_entropy([1, 0], certain) == 0
    assert km.log_loss([0, 0], certain) == km.normalized_entropy([0, 1], certain) == np.inf
    assert np.isnan(km.log_loss([0, 1], [0.5, np.nan]))


@pytest.mark.parametrize("metric", POINTWISE)
def test_probabilities_called_logits_are_noticed(metric):
    y, z, _, w = rows()
    with pytest.warns(UserWarning, match="All 299 scores .* fit the labels better as probabil"):
        metric(y, sigmoid(z), w, from_logits=True)
    often = np.random.default_rng(0).random(400) < 0.65  # logits that are all in [0, 1]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        metric(often, np.full(400, 0.62), from_logits=True)


def test_expected_calibration_error():
    """Equal weights, no ties, rows a multiple of the bins: the bins are plain slices."""
    y, z, _, _ = rows()
    order = np.argsort(z)
    expected = np.mean(
        [abs(np.mean(sigmoid(z[part]) - y[part])) for part in np.split(order, 8)]
    )  # fmt: skip
    value = expected_calibration_error(y, z, num_bins=8)
    np.testing.assert_allclose(value, expected)
    shuffled = np.random.default_rng(2).permutation(len(y))
    again = expected_calibration_error(y[shuffled], z[shuffled], num_bins=8)
    np.testing.assert_allclose(again, value)
    one = expected_calibration_error(y, z, num_bins=1)
    np.testing.assert_allclose(one, abs(np.mean(sigmoid(z)) - np.mean(y)))


def test_weight_two_is_the_row_twice():
    y, z, groups, _ = rows(levels=16)
    times = np.random.default_rng(3).integers(0, 3, len(y))
    again = np.repeat(np.arange(len(y)), times)
    for metric in ALL:
        np.testing.assert_allclose(metric(y, z, times), metric(y[again], z[again]), rtol=1e-12)
    value = km.grouped_auc(y, z, groups, times)
    np.testing.assert_allclose(value, km.grouped_auc(y[again], z[again], groups[again]))


@pytest.mark.parametrize("metric", ALL)
def test_columns_and_masked_rows(metric):
    y, z, _, w = rows()
    value = metric(y[w > 0], z[w > 0], w[w > 0])
    assert metric(y[:, None], z[:, None], w[:, None]) == value
    poisoned = np.where(w > 0, y, np.nan), np.where(w > 0, z, np.nan)
    assert metric(*poisoned, w) == value


@pytest.mark.parametrize("metric", ALL)
def test_undefined(metric):
    nothing = np.zeros(0)
    assert np.isnan(metric(nothing, nothing))
    assert np.isnan(metric(np.ones(3), np.zeros(3), np.zeros(3)))
    z = np.array([1.0, 2.0, np.nan])
    assert np.isnan(metric(np.array([0, 1, 1]), z))
    one_class = metric(np.zeros(3), np.arange(3.0))
    defined = metric in (log_loss, expected_calibration_error)
    assert np.isfinite(one_class) == defined


def test_grouped_auc_undefined():
    nothing = np.zeros(0)
    assert np.isnan(km.grouped_auc(nothing, nothing, nothing))
    assert np.isnan(km.grouped_auc([1, 0], [0.2, 0.1], [1, 2]))
    assert np.isnan(km.grouped_auc([1, 0, 1], [0.2, 0.1, np.nan], [1, 1, 1]))


@pytest.mark.parametrize("metric", ALL)
def test_rejects(metric):
    good = np.array([0, 1]), np.zeros(2)
    with pytest.raises(ValueError, match=r"`y` must have one value for each of the 2 scores.*: 3"):
        metric(np.zeros(3), np.zeros(2))
    with pytest.raises(
        ValueError, match=r"`sample_weight` must have one value .*Received: 1 value"
    ):
        metric(*good, np.ones(1))
    with pytest.raises(
        ValueError, match=r"`sample_weight` must be finite and positive in every row.*-1.0 in row 1"
    ):
        metric(*good, np.array([1.0, -1.0]))
    with pytest.raises(
        ValueError, match=r"`y` must .* in every row with nonzero weight.*y=2 in row 1"
    ):
        metric(np.array([0, 2]), np.zeros(2))
    with pytest.raises(ValueError, match=r"`y` must .*Received: y=nan in row 0"):
        metric(np.array([np.nan, 1]), np.zeros(2))


def test_grouped_auc_rejects():
    with pytest.raises(ValueError, match="`groups` must have one value for each of the 2 scores"):
        km.grouped_auc([0, 1], [0.1, 0.2], [1])
    with pytest.raises(ValueError, match="`average` must be one of"):
        km.grouped_auc([0, 1], [0.1, 0.2], [1, 1], average="users")


def test_as_text():
    assert km.as_text(0.123456) == "0.1235"
    assert km.as_text(np.float32(2), ".1f") == "2.0"
    assert km.as_text(float("nan")) == "undefined"


# HIT@k


def brute_hit(y, score, session, k, reduce, min_items):
    values = {}
    for name in np.unique(session):
        at = np.flatnonzero(session == name)
        best = sorted(at, key=lambda row: (-score[row], row))[:k]
        hits = sum(y[row] for row in best)
        if len(at) >= min_items and (reduce == "count" or y[at].sum() > 0):
            values[name] = hits if reduce == "count" else float(hits > 0)
    return values


@pytest.mark.parametrize("levels", [None, 4])
@pytest.mark.parametrize("min_items", [1, 4])
@pytest.mark.parametrize("reduce", ["count", "any"])
@pytest.mark.parametrize("k", [1, 3, 20])
def test_hit_at_k(k, reduce, min_items, levels):
    y, score, session, _ = rows(levels=levels)
    metric = km.HitAtK(k, reduce, min_items)
    expected = brute_hit(y, score, session, k, reduce, min_items)
    names, values = metric.per_session(y, score, session)
    assert list(names) == list(expected)
    assert list(values) == list(expected.values())
    assert abs(metric(y, score, session) - np.mean(list(expected.values()))) < 1e-12


@pytest.mark.parametrize("reduce", ["count", "any"])
def test_hit_expected_random_is_the_mean_over_all_orders(reduce):
    y = np.array([1, 0, 0, 1, 0, 0, 0, 0, 1, 1])
    session = np.array([1, 1, 1, 1, 1, 2, 2, 3, 3, 4])
    metric = km.HitAtK(2, reduce)
    per_session = []
    for name in np.unique(session):
        at = session == name
        values = [
            metric.per_session(y[at], np.array(order), session[at])[1].sum()
            for order in itertools.permutations(range(at.sum()))
        ]
        if reduce == "any" and not y[at].any():
            continue  # a session without a positive does not count
        per_session.append(np.mean(values))
    expected = np.mean(per_session)
    np.testing.assert_allclose(metric.expected_random(y, session), expected, rtol=1e-12)
    with_ties = metric(y, np.zeros(10), session)  # row order: rows 0, 1, then 5, 6, 7, 8, 9
    assert with_ties == ((1 + 0 + 1 + 1) / 4 if reduce == "count" else 1.0)


def test_hit_values_of_two_models_are_pairs():
    y, score, session, _ = rows()
    metric = km.HitAtK(3, "any", 4)
    other = np.random.default_rng(5).permutation(score)
    first, second = (metric.per_session(y, s, session)[0] for s in (score, other))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("reduce", ["count", "any"])
def test_hit_undefined(reduce):
    metric = km.HitAtK(3, reduce)
    nothing = np.zeros(0)
    assert np.isnan(metric(nothing, nothing, nothing))
    assert np.isnan(metric.expected_random(nothing, nothing))
    assert np.isnan(km.HitAtK(3, reduce, min_items=3)([1, 0], [1.0, 2.0], [1, 1]))
    assert np.isnan(metric([1, 0, 1], [1.0, np.nan, 2.0], [1, 1, 2]))
    assert np.isnan(metric([0, 0], [1.0, 2.0], [1, 1]))
    assert np.isnan(metric.expected_random([0, 0], [1, 1]))


def test_infinite_logits():
    """Probabilities of exactly 0 or 1 become infinite logits: right costs 0, wrong everything."""
    y, right = np.array([1, 0]), np.array([np.inf, -np.inf])
    assert log_loss(y, right) == normalized_entropy(y, right) == 0
    assert log_loss(y, -right) == np.inf
    assert calibration(y, right) == km.auc(y, right) == 1
    assert expected_calibration_error(y, right) == 0


def test_hit_names():
    assert km.HitAtK().name == "hit@3"
    assert km.HitAtK(5, "any").name == "hit_any@5"


@pytest.mark.parametrize("groups", [["a", None], [1.0, float("nan")], ["a", float("nan")]], ids=str)
def test_null_groups_are_refused(groups):
    groups = np.array(groups, float if groups[0] == 1.0 else object)
    for call in (
        lambda: km.group_index(groups),
        lambda: km.grouped_auc([0, 1], [0.1, 0.2], groups),
        lambda: km.HitAtK()([0, 1], [0.1, 0.2], groups),
    ):
        with pytest.raises(
            ValueError, match=r"must not be null in any row. Received: null in row 1"
        ):
            call()


def test_nullable_groups_of_pandas_are_groups_without_null():
    pandas = pytest.importorskip("pandas")
    for kind in ("Int64", object, "string"):
        groups = pandas.array(["1", "1"] if kind == "string" else [1, 1], kind)
        assert km.grouped_auc([0, 1], [0.1, 0.2], groups) == 1
        groups[1] = pandas.NA
        for given in (groups, pandas.Series(groups)):
            for call in (km.group_index, lambda g: km.grouped_auc([0, 1], [0.1, 0.2], g)):
                with pytest.raises(ValueError, match=r"not be null in any row.* null in row 1"):
                    call(given)


@pytest.mark.parametrize("kind", ["Int64", "Float64", object])
def test_nullable_numbers_of_pandas_are_numbers_without_null(kind):
    pandas = pytest.importorskip("pandas")
    values = pandas.array([0, 1], kind)
    assert km.log_loss(values, [0.0, 1.0], sample_weight=pandas.array([2, 1], kind)) == 0
    values[1] = pandas.NA
    for given in (values, pandas.Series(values)):
        with pytest.raises(ValueError, match=r"`y` must be in \[0, 1\].*Received: y=nan in row 1"):
            km.log_loss(given, [0.0, 1.0])
        with pytest.raises(ValueError, match=r"`sample_weight` must be finite.*=nan in row 1"):
            km.log_loss([0, 1], [0.0, 1.0], sample_weight=given)


@pytest.mark.parametrize("groups", [[{1}, {1}], [[1], [2]], [1, "1"]], ids=str)
def test_groups_are_values_of_one_kind(groups):
    given = np.empty(2, object)
    given[:] = groups
    with pytest.raises(ValueError, match=r"`groups` must (have one value per|be of one kind)"):
        km.grouped_auc([0, 1], [0.1, 0.2], given)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"k": 0}, "`k` must be a positive integer"),
        ({"reduce": "mean"}, "`reduce` must be one of"),
        ({"min_items": 0}, "`min_items` must be a positive integer"),
    ],
)
def test_hit_rejects(arguments, match):
    with pytest.raises(ValueError, match=match):
        km.HitAtK(**arguments)


def test_hit_rejects_soft_labels():
    for call in (km.HitAtK().per_session, km.HitAtK()):
        with pytest.raises(ValueError, match=r"`y` must be 0 or 1 .*Received: y=0.5 in row 1"):
            call([0, 0.5], [0.1, 0.2], [1, 1])


def test_hit_rejects_sessions_of_another_length():
    with pytest.raises(ValueError, match="`session` must have one value for each of the 2 scores"):
        km.HitAtK()([0, 1], [0.1, 0.2], [1])


def kuairand_test_split(label):
    default = Path(__file__).parents[3] / "shared" / "data"
    file = Path(os.environ.get("KRANKING_DATA", default)) / "kuairand_pure" / "test.parquet"
    if not file.exists():
        pytest.skip("KuaiRand-Pure is not here")
    table = parquet.read_table(file, columns=[label, "session_id"])
    return table[label].to_numpy(), table["session_id"].to_numpy()


@pytest.mark.parametrize(
    ("label", "sessions", "drawn"),
    [("is_click", 1206, 0.8773), ("long_view", 1015, 0.7921), ("is_like", 90, 0.7)],
)
def test_kuairand_reference(label, sessions, drawn):
    """Session counts and random rankings of the data's README: our reading is its reading.

    It drew one random ranking, whose standard error is at most `0.5 / sqrt(sessions)`.
    """
    y, session = kuairand_test_split(label)
    metric = km.HitAtK(3, "any", min_items=4)
    names, _ = metric.per_session(y, np.zeros(len(y)), session)
    assert len(names) == sessions
    assert abs(metric.expected_random(y, session) - drawn) < 1.5 / np.sqrt(sessions)
    if label == "is_click":  # its mean number of hits is over the same sessions
        same = np.isin(session, names)
        value = km.HitAtK(3).expected_random(y[same], session[same])
        assert abs(value - 1.494) < 1.5 / np.sqrt(sessions)


def test_rows_of_weight_0_are_counted_in_the_row_of_an_error():
    with pytest.raises(ValueError, match=r"y=2 in row 2"):
        km.auc(np.array([0, 1, 2]), np.zeros(3), np.array([0, 1, 1]))
