"""Losses in logs are means over rows, and replicas weigh what they have: whatever the last batch's size."""

from contextlib import nullcontext

import keras
import numpy as np
import pytest

import kranking as kr

ROWS, BATCH = 101, 64
rng = np.random.default_rng(0)
X = {
    "a": np.sort(rng.normal(size=ROWS)).astype("float32"),
    "c": rng.integers(0, 3, ROWS).astype("int32"),
}
Y = {
    "save": (np.arange(ROWS) > 70).astype("float32"),
    "click": rng.integers(0, 2, ROWS).astype("float32"),
}
WEIGHTS = {name: rng.uniform(0, 2, ROWS).astype("float32") for name in Y}


def model_of(regularizer=None):
    features = [
        kr.features.Numeric("a", mean=0.0, std=1.0),
        kr.features.Categorical(
            "c", vocabulary=("x", "y"), embedding_dim=4, regularizer=regularizer
        ),
    ]
    tasks = [kr.Task("save", weight=2.0), kr.Task("click")]
    model = kr.RankingModel(features, [kr.layers.MLP([4])], tasks)
    weights = np.random.default_rng(1)
    model.set_weights([weights.normal(0, 0.5, w.shape) for w in model.get_weights()])
    return model


def losses_of(model, weights):
    """Returns Σ w · loss / rows by task, and their weighted sum."""
    probabilities = model.predict(X, verbose=0)
    found = {}
    for name, y in Y.items():
        p = probabilities[name].ravel().astype("float64")
        entropy = -(y * np.log(p) + (1 - y) * np.log(1 - p))
        found[f"{name}_loss"] = float(np.mean(entropy * weights[name] if weights else entropy))
    return found | {"loss": 2.0 * found["save_loss"] + found["click_loss"]}


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["unweighted", "weighted"])
def test_task_losses_are_means_over_rows(weights):
    model = model_of()
    model.compile(keras.optimizers.SGD(0.0), weighted_metrics=None)
    expected = losses_of(model, weights)
    options = {"batch_size": BATCH, "sample_weight": weights, "verbose": 0}
    trained = model.fit(X, Y, shuffle=False, **options).history
    evaluated = model.evaluate(X, Y, return_dict=True, **options)
    for name, value in expected.items():
        np.testing.assert_allclose(trained[name], value, rtol=1e-5, err_msg=name)
        np.testing.assert_allclose(evaluated[name], value, rtol=1e-5, err_msg=name)


on_tensorflow = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="tf.distribute belongs to TensorFlow"
)


@on_tensorflow
@pytest.mark.parametrize("batch", [64, 100], ids=["37 rows remain", "one row remains"])
def test_a_short_batch_on_two_replicas_equals_one_device(two_replicas, batch):
    runs = {}
    for strategy in (None, two_replicas):
        with strategy.scope() if strategy else nullcontext():
            model = model_of(keras.regularizers.L2(0.1))
            model.compile(keras.optimizers.SGD(0.5), weighted_metrics=None)
        options = {"batch_size": batch, "sample_weight": WEIGHTS, "shuffle": False, "verbose": 0}
        history = model.fit(X, Y, epochs=2, **options).history
        runs[strategy] = model.get_weights(), history
    for a, b in zip(runs[None][0], runs[two_replicas][0], strict=True):
        np.testing.assert_allclose(b, a, rtol=0, atol=1e-6)
    for name, values in runs[None][1].items():
        np.testing.assert_allclose(runs[two_replicas][1][name], values, rtol=1e-5, err_msg=name)


@on_tensorflow
@pytest.mark.parametrize("call", ["fit", "evaluate"])
def test_a_first_batch_that_does_not_divide_is_refused(two_replicas, call):
    with two_replicas.scope():
        model = model_of()
        model.compile(keras.optimizers.SGD(0.5), weighted_metrics=None)
    with pytest.raises(
        ValueError, match=r"divide evenly among the 2 replicas\. Use a `batch_size`"
    ):
        getattr(model, call)(X, Y, batch_size=200, verbose=0)


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="Keras returns zero on JAX")
def test_a_model_that_is_not_compiled_has_no_loss():
    logits = {"s": np.zeros((2, 1), "float32")}
    model = kr.RankingModel([kr.features.Numeric("a", mean=0.0, std=1.0)], [], [kr.Task("s")])
    with pytest.raises(ValueError, match="No loss to compute"):
        model.compute_loss(None, logits, logits)
