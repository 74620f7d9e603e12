"""The Keras metrics, against scikit-learn and against their exact twins."""

import keras
import numpy as np
import pytest

from kranking import metrics as km

sklearn_metrics = pytest.importorskip("sklearn.metrics")
roc_auc_score, sklearn_log_loss = sklearn_metrics.roc_auc_score, sklearn_metrics.log_loss

CLASSES = [km.LogLoss, km.NormalizedEntropy, km.Calibration, km.BinnedAUC]


def rows(n=1000, rate=0.2, seed=0):
    rng = np.random.default_rng(seed)
    z = rng.normal(np.log(rate / (1 - rate)), 2, size=(n, 1)).astype("float32")
    y = (rng.random(n) < 1 / (1 + np.exp(-z[:, 0]))).astype("float32")
    w = rng.choice([0.0, 0.5, 1.0, 3.0], size=n).astype("float32")
    return y, z, w


def sigmoid(z):
    return 1 / (1 + np.exp(-np.reshape(z, -1).astype(np.float64)))


def value_of(metric, *args):
    metric.reset_state()
    metric.update_state(*args)
    return float(metric.result())


def oracle(cls, y, z, w):
    y, p = np.reshape(y, -1), sigmoid(z)
    loss = sklearn_log_loss(y, np.c_[1 - p, p], sample_weight=w, labels=[0, 1])
    if cls is km.LogLoss:
        return loss
    base = np.average(y, weights=w)
    if cls is km.NormalizedEntropy:
        return loss / -(base * np.log(base) + (1 - base) * np.log(1 - base))
    if cls is km.Calibration:
        return np.average(p, weights=w) / base
    return roc_auc_score(y, np.reshape(z, -1), sample_weight=w)


@pytest.mark.parametrize("label_shape", [(1000,), (1000, 1)], ids=str)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("cls", CLASSES)
def test_against_oracle(cls, weighted, label_shape):
    y, z, w = rows()
    w = w if weighted else np.ones_like(w)
    args = (y.reshape(label_shape), z) + ((w.reshape(label_shape),) if weighted else ())
    metric = cls(from_logits=True)
    tolerance = 2e-6
    value = value_of(metric, *args)
    if cls is km.BinnedAUC:
        tolerance += float(metric.error_bound())
        assert tolerance < 1e-3
    assert abs(value - oracle(cls, y, z, w)) <= tolerance * max(1, value)


@pytest.mark.parametrize("cls", CLASSES)
def test_probabilities_are_as_good_as_logits(cls):
    y, z, w = rows()
    p = sigmoid(z).astype("float32")[:, None]
    value = value_of(cls(), y, p, w)
    np.testing.assert_allclose(value, value_of(cls(from_logits=True), y, z, w), rtol=1e-5)
    with pytest.raises(ValueError, match=r"must be probabilities in \[0, 1\].*from_logits=True"):
        cls().update_state(y, z, w)
    outside = keras.ops.convert_to_tensor(np.where(w[:, None] > 0, p, 7.0))  # these do not count
    np.testing.assert_allclose(value_of(cls(), y, outside, w), value, rtol=1e-6)
    assert np.isnan(value_of(cls(), y, keras.ops.convert_to_tensor(z), w))  # a graph cannot raise


def test_impossible_rows_have_an_infinite_loss():
    p = np.array([[0.0], [0.5]], "float32")
    assert value_of(km.LogLoss(), np.array([1.0, 0.0]), p) == np.inf
    assert value_of(km.LogLoss(), np.array([0.0, 1.0]), p) == pytest.approx(np.log(2) / 2)


@pytest.mark.parametrize("cls", CLASSES)
def test_metrics_of_older_files_take_logits(cls):
    config = cls().get_config()
    assert config.pop("from_logits") is False
    assert cls.from_config(config).from_logits is True


@pytest.mark.parametrize("dtype", ["bool", "int32", "float64"])
@pytest.mark.parametrize("cls", CLASSES)
def test_label_dtypes(cls, dtype):
    y, z, w = rows()
    assert value_of(cls(from_logits=True), y.astype(dtype), z, w) == value_of(
        cls(from_logits=True), y, z, w
    )


@pytest.mark.parametrize("cls", CLASSES)
def test_batches_equal_the_whole(cls):
    y, z, w = rows()
    metric = cls(from_logits=True)
    for part in np.split(np.arange(1000), [1, 7, 500, 993]):
        metric.update_state(y[part], z[part], w[part])
    np.testing.assert_allclose(metric.result(), value_of(cls(from_logits=True), y, z, w), rtol=1e-6)


@pytest.mark.parametrize("poison", [np.nan, np.inf, -1.0])
@pytest.mark.parametrize("cls", CLASSES)
def test_masked_rows_add_nothing(cls, poison):
    y, z, w = rows()
    clean = value_of(cls(from_logits=True), y[w > 0], z[w > 0], w[w > 0])
    y, z = np.where(w > 0, y, poison), np.where(w[:, None] > 0, z, poison)
    np.testing.assert_allclose(value_of(cls(from_logits=True), y, z, w), clean, rtol=1e-6)


@pytest.mark.parametrize("cls", CLASSES)
def test_nan_logit_shows(cls):
    y, z, _ = rows(100)
    z[3] = np.nan
    assert np.isnan(value_of(cls(from_logits=True), y, z))


@pytest.mark.parametrize("cls", CLASSES)
def test_undefined(cls):
    metric = cls(from_logits=True)
    assert np.isnan(float(metric.result()))
    y, z, w = rows(100)
    assert np.isnan(value_of(metric, y, z, np.zeros_like(w)))
    assert np.isnan(value_of(metric, y[:0], z[:0]))
    zeros, ones = (value_of(metric, np.full(100, label), z) for label in (0.0, 1.0))
    assert np.isnan(zeros) == (cls is not km.LogLoss)
    assert np.isnan(ones) == (cls in (km.NormalizedEntropy, km.BinnedAUC))
    metric.update_state(y, z)  # undefined is no trap: more rows bring it back
    assert np.isfinite(float(metric.result()))


@pytest.mark.parametrize("rate", [0.0005, 0.02, 0.5, 0.999])
def test_constant_predictor_has_ne_one(rate):
    y = np.zeros(20_000, "float32")
    y[: round(rate * 20_000)] = 1
    z = np.full((20_000, 1), np.log(rate / (1 - rate)), "float32")
    metric = km.NormalizedEntropy(from_logits=True)
    for part in np.split(np.random.default_rng(0).permutation(20_000), 5):
        metric.update_state(y[part], z[part])
    np.testing.assert_allclose(metric.result(), 1.0, atol=1e-6)


def test_saturated_logits_keep_their_loss():
    z = np.array([[200.0], [-200.0]], "float32")
    assert value_of(km.LogLoss(from_logits=True), np.array([0.0, 1.0]), z) == 200.0
    # The small losses of a good model, too: `softplus(z) - y z` in float32 would give 0 here.
    value = value_of(
        km.LogLoss(from_logits=True), np.array([1.0, 0.0]), np.array([[20.0], [-20.0]], "float32")
    )
    np.testing.assert_allclose(value, np.log1p(np.exp(-20.0)), rtol=1e-6)


@pytest.mark.parametrize("num_bins", [1, 10, 100])
def test_binned_auc_stays_inside_its_bound(num_bins):
    y, z, w = rows(rate=0.01, n=5000)
    z[:5] = 1000 * np.sign(z[:5])  # beyond the histogram on both sides
    metric = km.BinnedAUC(num_bins, from_logits=True)
    value = value_of(metric, y, z, w)
    bound = float(metric.error_bound())
    assert abs(value - roc_auc_score(y, z[:, 0], sample_weight=w)) <= bound + 1e-6
    assert num_bins > 1 or (abs(value - 0.5) < 1e-6 and abs(bound - 0.5) < 1e-6)


def test_binned_auc_counts_ties_as_half():
    z = np.array([[1.0], [1.0], [1.0], [-2.0]], "float32")
    assert abs(value_of(km.BinnedAUC(from_logits=True), np.array([1, 0, 1, 0]), z) - 0.75) < 1e-6


@pytest.mark.parametrize(
    ("negative", "positive", "expected"),
    [(14.1, 14.9, 0.5), (13.9, 14.1, 1.0), (-14.1, -13.9, 1.0), (16.0, 90.0, 0.5)],
)
def test_thirty_bins_are_one_logit_wide(negative, positive, expected):
    """The bins cover [-15, 15]; rows in one bin, such as all beyond, are a tie."""
    z = np.array([[negative], [positive]], "float32")
    assert abs(value_of(km.BinnedAUC(30, from_logits=True), np.array([0, 1]), z) - expected) < 1e-6


@pytest.mark.parametrize("cls", CLASSES)
def test_mismatch_is_refused_not_broadcast(cls):
    with pytest.raises(Exception, match=r"(?i)shape|size|values"):
        cls(from_logits=True).update_state(np.ones(1), np.zeros((4, 1)))


@pytest.mark.parametrize("cls", CLASSES)
def test_config_round_trip(cls):
    metric = cls(name="own", from_logits=True, **({"num_bins": 7} if cls is km.BinnedAUC else {}))
    text = keras.saving.serialize_keras_object(metric)
    assert text["registered_name"] == f"kranking>{cls.__name__}"
    copy = keras.saving.deserialize_keras_object(text)
    assert copy.name == "own"
    assert copy.get_config() == metric.get_config()
    assert value_of(copy, *rows()) == value_of(metric, *rows())


@pytest.mark.parametrize("value", [0, 1.5, "2", True])
def test_rejects(value):
    with pytest.raises(ValueError, match=r"`num_bins` must be a positive .*Received: num_bins="):
        km.BinnedAUC(value)


@pytest.mark.parametrize("cls", CLASSES)
def test_stateless_use_leaves_the_metric_alone(cls):
    y, z, w = rows()
    metric = cls(from_logits=True)
    before = [np.array(v) for v in metric.variables]
    state = metric.stateless_reset_state()
    state = metric.stateless_update_state(state, y[:400], z[:400], w[:400])
    state = metric.stateless_update_state(state, y[400:], z[400:], w[400:])
    value = float(metric.stateless_result(state))
    np.testing.assert_allclose(value, value_of(cls(from_logits=True), y, z, w), rtol=1e-6)
    for variable, old in zip(metric.variables, before, strict=True):
        np.testing.assert_array_equal(np.array(variable), old)


def compiled(step):
    """Compiles `step(state, *arrays) -> state` the way the backend's trainer would."""
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(step)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(step, jit_compile=True)
    return step


@pytest.mark.parametrize("cls", CLASSES)
def test_long_epochs_do_not_stall(cls):
    """A float32 sum that has reached 10**9 ignores rows of weight 1; the metric must not."""
    y, z = np.array([1.0, 0.0, 0.0], "float32"), np.array([[1.0], [0.3], [2.0]], "float32")
    heavy, light = np.full(3, 1e9, "float32"), np.array([5.0, 1.0, 2.0], "float32")
    metric = cls(from_logits=True)
    update = compiled(lambda state, *args: metric.stateless_update_state(state, *args))
    state = update([np.array(v) for v in metric.variables], y, z, heavy)
    start = [np.array(v, np.float64) for v in state]
    for _ in range(100):
        state = update(state, y, z, light)
    end = [np.array(v, np.float64) for v in state]
    per_step = np.array(
        [np.array(v, np.float64) for v in update(metric.stateless_reset_state(), y, z, light)]
    ).sum(axis=0)
    np.testing.assert_allclose(sum(end) - sum(start), 100 * per_step, rtol=1e-5, atol=1e-3)


def test_hundred_million_rows():
    """Two hundred equal batches leave every value where the first one put it."""
    y, z, _ = rows(4096)
    weight = np.full(4096, 125.0, "float32")  # 200 batches of 4,096 rows and 125 copies: 1e8
    for cls in CLASSES:
        metric = cls(from_logits=True)
        update = compiled(lambda state, *args, m=metric: m.stateless_update_state(state, *args))
        state = [np.array(v) for v in metric.variables]
        for _ in range(200):
            state = update(state, y, z, weight)
        value = float(metric.stateless_result(state))
        np.testing.assert_allclose(value, value_of(cls(from_logits=True), y, z), rtol=3e-7)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_inside_fit_and_evaluate(jit_compile):
    if jit_compile and keras.backend.backend() == "torch":
        pytest.skip("compiling with torch takes a minute and a C++ compiler")
    y, z, w = rows(200)
    inputs = keras.Input((1,))
    logits = {name: keras.layers.Dense(1, name=name)(inputs) for name in ("save", "hide")}
    model = keras.Model(inputs, logits)
    model.compile(
        keras.optimizers.SGD(0.0),
        dict.fromkeys(logits, "mse"),
        weighted_metrics={name: [cls(from_logits=True) for cls in CLASSES] for name in logits},
        jit_compile=jit_compile,
    )
    data = {
        "x": z,
        "y": {"save": y, "hide": 1 - y},
        "sample_weight": {"save": w, "hide": np.zeros_like(w)},
    }
    fitted = model.fit(**data, batch_size=64, verbose=0).history
    scores = model.evaluate(**data, batch_size=64, verbose=0, return_dict=True)
    predicted = model.predict(z, verbose=0)["save"]
    for cls in CLASSES:
        value = value_of(cls(from_logits=True), y, predicted, w)
        name = f"save_{cls().name}"
        np.testing.assert_allclose([scores[name], fitted[name][0]], value, rtol=1e-5)
        assert np.isnan(scores[f"hide_{cls().name}"])
