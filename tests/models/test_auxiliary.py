"""Auxiliary logits in a model: their loss is in training's loss and gradients, and nowhere else."""

from contextlib import nullcontext

import keras
import numpy as np
import pytest
from keras import ops

import kranking as kr
from kranking.features import Numeric, Task
from kranking.layers import MLP, CrossNetwork, MeanHeads, Parallel
from kranking.losses import TriBCE
from kranking.models import RankingModel

pytestmark = pytest.mark.usefixtures("eager_training")
FEATURES = [Numeric(name, mean=0.0, std=1.0) for name in ("a", "b")]
TASKS = [Task("save", weight=2.0), Task("hide", weight=0.5)]
ROWS = 32
LOSSES = ["tri_bce", "distillation"]


def linear_model(auxiliary_loss, blocks=(), tasks=TASKS):
    """Each part is a linear model of one feature."""
    blocks = blocks or [keras.layers.Identity()]
    return RankingModel(FEATURES, blocks, tasks, heads=MeanHeads(auxiliary_loss=auxiliary_loss))


def rows(seed=0):
    rng = np.random.default_rng(seed)
    x = {f.name: rng.standard_normal(ROWS).astype("float32") for f in FEATURES}
    y = {t.name: rng.integers(0, 2, ROWS).astype("float32") for t in TASKS}
    w = {t.name: rng.integers(0, 3, ROWS).astype("float32") for t in TASKS}
    return x, y, w


def crossentropy(y, z):
    return y * np.logaddexp(0, -z) + (1 - y) * np.logaddexp(0, z)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def by_hand(model, auxiliary_loss, x, y, w):
    """Each task's loss, the auxiliary term, and the gradients of both for the parts' kernels."""
    kernels = [np.array(ops.convert_to_numpy(d.kernel), "float64") for d in model.heads.projections]
    losses, extra, gradients = {}, 0.0, [np.zeros((1, 2)), np.zeros((1, 2))]
    inputs = [x["a"].astype("float64"), x["b"].astype("float64")]
    for index, task in enumerate(TASKS):
        labels, weight = y[task.name], w[task.name]
        parts = [column * kernel[0, index] for column, kernel in zip(inputs, kernels, strict=True)]
        final = np.mean(parts, axis=0)
        losses[task.name] = np.mean(weight * crossentropy(labels, final))
        for part, column, gradient in zip(parts, inputs, gradients, strict=True):
            slope = (sigmoid(final) - labels) / 2
            if auxiliary_loss == "distillation":
                extra += task.weight * np.mean(weight * crossentropy(sigmoid(final), part))
                slope = slope + sigmoid(part) - sigmoid(final)
            if auxiliary_loss == "tri_bce":
                own = crossentropy(labels, part)
                behind = np.average(own - crossentropy(labels, final), weights=weight)
                behind = max(0.0, behind)
                extra += task.weight * behind * np.mean(weight * own)
                slope = slope + behind * (sigmoid(part) - labels)
            gradient[0, index] = task.weight * np.mean(weight * slope * column)
    return losses, extra, kernels, gradients


@pytest.mark.parametrize("auxiliary_loss", [None, *LOSSES])
def test_one_step_of_training(auxiliary_loss):
    model = linear_model(auxiliary_loss)
    x, y, w = rows()
    for dense, scale in zip(model.heads.projections, (1.0, -3.0), strict=True):
        dense.kernel.assign(scale * dense.kernel)
    losses, extra, kernels, gradients = by_hand(model, auxiliary_loss, x, y, w)
    assert (extra > 0) == (auxiliary_loss is not None)
    model.compile(keras.optimizers.SGD(0.1), weighted_metrics=None)
    logs = model.fit(x, y, sample_weight=w, batch_size=ROWS, verbose=0).history
    ordinary = sum(task.weight * losses[task.name] for task in TASKS)
    np.testing.assert_allclose(logs["loss"], ordinary + extra, rtol=1e-5)
    for task in TASKS:
        np.testing.assert_allclose(logs[f"{task.name}_loss"], losses[task.name], rtol=1e-5)
    for dense, kernel, gradient in zip(model.heads.projections, kernels, gradients, strict=True):
        expected = kernel - 0.1 * gradient
        np.testing.assert_allclose(ops.convert_to_numpy(dense.kernel), expected, atol=1e-6)


@pytest.mark.parametrize("auxiliary_loss", LOSSES)
def test_evaluation_and_predictions_are_of_the_final_logit_alone(auxiliary_loss):
    model, plain = linear_model(auxiliary_loss), linear_model(None)
    plain.set_weights(model.get_weights())
    x, y, w = rows()
    for one in (model, plain):
        one.compile(keras.optimizers.SGD(0.0), weighted_metrics=None)
    logs = [m.evaluate(x, y, sample_weight=w, verbose=0, return_dict=True) for m in (model, plain)]
    assert logs[0] == pytest.approx(logs[1], rel=1e-6)
    probabilities = [m.predict(x, verbose=0) for m in (model, plain)]
    np.testing.assert_allclose(probabilities[0]["save"], probabilities[1]["save"], rtol=1e-6)
    history = model.fit(x, y, validation_data=(x, y), verbose=0, batch_size=ROWS).history
    assert history["loss"][0] > history["val_loss"][0] + 1e-4
    weighted = sum(task.weight * history[f"{task.name}_loss"][0] for task in TASKS)
    assert history["val_loss"][0] == pytest.approx(weighted, rel=1e-5)


def test_nothing_is_kept_and_the_model_lives_on(tmp_path):
    blocks = [Parallel([MLP([4], dropout=0.1), CrossNetwork(1)])]
    model = RankingModel(
        FEATURES, blocks, TASKS, heads=MeanHeads(None, (4, 2), None, "prob", "tri_bce")
    )
    x, y, w = rows()
    model.compile("sgd", weighted_metrics=None)
    model.fit(x, y, sample_weight=w, batch_size=16, verbose=0)
    assert model.heads.auxiliary == {}
    before = model.predict(x, verbose=0)["hide"]
    assert model.heads.auxiliary == {}
    ops.convert_to_numpy(model(x, training=True)["save"])
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras")
    np.testing.assert_allclose(again.predict(x, verbose=0)["hide"], before, rtol=1e-5)
    again.add(keras.layers.Identity())
    again.compile("sgd", weighted_metrics=None)
    again.fit(x, y, verbose=0)
    assert isinstance(again.heads.auxiliary_loss, TriBCE)
    assert again.heads.auxiliary == {}


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="tracers belong to JAX")
def test_no_tracer_leaks():
    import jax

    model = linear_model("tri_bce")
    x, y, w = rows()
    model.compile("sgd", weighted_metrics=None)
    with jax.checking_leaks():
        model.fit(x, y, sample_weight=w, verbose=0)
        model.predict(x, verbose=0)


@pytest.mark.parametrize("auxiliary_loss", LOSSES)
def test_labels_that_were_not_observed_do_not_matter(auxiliary_loss):
    x, y, w = rows()
    flipped = {name: np.where(w[name] == 0, 1 - y[name], y[name]) for name in y}
    trained = []
    for labels in (y, flipped):
        keras.utils.set_random_seed(3)
        model = linear_model(auxiliary_loss)
        model.compile(keras.optimizers.SGD(0.5), weighted_metrics=None)
        model.fit(x, labels, sample_weight=w, batch_size=8, shuffle=False, verbose=0)
        trained.append(model.get_weights())
    for one, other in zip(*trained, strict=True):
        np.testing.assert_array_equal(one, other)


def test_one_task_one_array_of_labels_and_of_weights():
    model = linear_model("distillation", tasks=TASKS[:1])
    model.compile(keras.optimizers.SGD(0.0), weighted_metrics=None)
    x, y, w = rows()
    by_name = model.fit(x, {"save": y["save"]}, sample_weight=w["save"], verbose=0).history["loss"]
    bare = model.fit(x, y["save"], sample_weight=w["save"], verbose=0).history["loss"]
    assert by_name == pytest.approx(bare, rel=1e-6)


def test_weights_given_to_compile_count():
    model = linear_model("distillation")
    x, y, _ = rows()
    losses = []
    for weights in ({"save": 1.0, "hide": 0.0}, {"save": 3.0, "hide": 0.0}):
        model.compile(keras.optimizers.SGD(0.0), loss_weights=weights, weighted_metrics=None)
        losses.append(model.fit(x, y, verbose=0).history["loss"][0])
    assert losses[1] == pytest.approx(3 * losses[0], rel=1e-5)


class Beside(keras.layers.Layer):
    """A block of a user's own: passes its input on and asks for a constant."""

    takes = gives = "flat"

    def call(self, inputs, training=None):
        logits = ops.repeat(ops.sum(inputs, axis=-1, keepdims=True), len(TASKS), axis=-1)
        self.auxiliary = {"sum": logits} if training else {}
        return inputs

    def compute_output_shape(self, input_shape):
        return input_shape

    @staticmethod
    def auxiliary_loss(labels, final, auxiliaries, sample_weight=None):
        assert final.shape == labels.shape == auxiliaries["sum"].shape == (ROWS, len(TASKS))
        assert sample_weight is None
        return ops.mean(auxiliaries["sum"], axis=0) ** 2


@pytest.mark.parametrize("place", ["block", "branch"])
def test_a_block_of_a_users_own(place):
    block = Beside()
    model = linear_model(None, [block if place == "block" else Parallel([block])])
    model.compile(keras.optimizers.SGD(0.0), weighted_metrics=None)
    x, y, _ = rows()
    logs = model.fit(x, y, batch_size=ROWS, verbose=0).history
    extra = 2.5 * np.mean(x["a"] + x["b"]) ** 2
    ordinary = sum(task.weight * logs[f"{task.name}_loss"][0] for task in TASKS)
    assert logs["loss"][0] == pytest.approx(ordinary + extra, rel=1e-5)
    assert not block.auxiliary


def test_a_loss_without_logits_is_refused():
    model = linear_model(TriBCE())
    x, y, _ = rows()
    model.compile("sgd", weighted_metrics=None)
    with pytest.raises(
        ValueError, match=r"no auxiliary logits. Call the model with `training=True`"
    ):
        model.compute_loss(x, y, model(x))
    ordinary = ops.convert_to_numpy(model.compute_loss(x, y, model(x), training=False))
    whole = ops.convert_to_numpy(model.compute_loss(x, y, model(x, training=True)))
    assert whole > ordinary > 0


def test_every_layer_learns_that_it_is_trained():
    """On JAX, Keras tells the model only."""
    seen = []

    class Spy(keras.layers.Layer):
        def call(self, inputs, training=None):
            seen.append(training)
            return inputs

        def compute_output_shape(self, input_shape):
            return input_shape

    model = linear_model(None, [Parallel([keras.Sequential([Spy()])])])
    x, y, _ = rows()
    model.compile("sgd", weighted_metrics=None)
    seen.clear()
    model.fit(x, y, verbose=0)
    assert True in seen
    seen.clear()
    model.evaluate(x, y, verbose=0)
    model.predict(x, verbose=0)
    assert True not in seen


@pytest.fixture(scope="module")
def runs(two_replicas):
    """Results by number of replicas and loss."""
    return {
        replicas: {loss: train(loss, strategy) for loss in LOSSES}
        for replicas, strategy in ((1, None), (2, two_replicas))
    }


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="tf.distribute")
@pytest.mark.parametrize("auxiliary_loss", LOSSES)
def test_two_replicas_train_as_one(auxiliary_loss, runs):
    one, two = (runs[replicas][auxiliary_loss] for replicas in (1, 2))
    assert (one["replicas"], two["replicas"]) == (1, 2)
    assert one["kept"] == two["kept"] == 0
    # Each replica compares the means of its own rows: Tri-BCE's weights are not quite one device's.
    close = {"rtol": 1e-5, "atol": 1e-6} if auxiliary_loss == "distillation" else {"atol": 0.05}
    for name in ("loss", "save_loss", "weights"):
        np.testing.assert_allclose(two[name], one[name], **close, err_msg=name)
    for name, value in one["evaluated"].items():
        np.testing.assert_allclose(two["evaluated"][name], value, **close, err_msg=name)


def train(auxiliary_loss, strategy):
    keras.utils.set_random_seed(7)
    features = [kr.features.Numeric(name, mean=0.0, std=1.0) for name in "abcd"]
    with strategy.scope() if strategy else nullcontext():
        blocks = [Parallel([MLP([4]), MLP([4])])]
        model = RankingModel(
            features, blocks, TASKS, heads=MeanHeads(auxiliary_loss=auxiliary_loss)
        )
        model.compile(keras.optimizers.SGD(0.5), weighted_metrics=None)
    rng = np.random.default_rng(0)
    x = {name: rng.standard_normal(64).astype("float32") for name in "abcd"}
    y, weights = (
        {task.name: rng.integers(0, 2, 64).astype("float32") for task in TASKS} for _ in range(2)
    )
    options = {"sample_weight": weights, "verbose": 0}
    history = model.fit(x, y, batch_size=32, epochs=1, shuffle=False, **options).history
    return {
        "replicas": strategy.num_replicas_in_sync if strategy else 1,
        "loss": history["loss"],
        "save_loss": history["save_loss"],
        "weights": np.concatenate([np.ravel(weight) for weight in model.get_weights()]),
        "evaluated": model.evaluate(x, y, return_dict=True, **options),
        "kept": len(model.heads.auxiliary),
    }


def test_an_auxiliary_loss_inside_dhen_counts():
    """And the builder's number of tasks reaches it there."""
    heads = kr.layers.MeanHeads(num_parts=2, auxiliary_loss="distillation")
    block = kr.layers.DHEN([[heads, kr.layers.TokenLinear()]])
    features = [
        kr.features.Categorical(name, hash_buckets=5, embedding_dim=4) for name in ("a", "b")
    ]
    model = kr.RankingModel(features, [block], [kr.Task("save"), kr.Task("hide")])
    assert heads.num_tasks == 2
    x = kr.features.as_model_inputs({name: np.array([1, 2, 3, 4], "int32") for name in ("a", "b")})
    y = {name: np.array([0, 1, 0, 1], "float32") for name in ("save", "hide")}
    model.compile("sgd", weighted_metrics=None)
    evaluated = model.evaluate(x, y, verbose=0, return_dict=True)["loss"]
    trained = model.train_on_batch(x, y, return_dict=True)["loss"]
    assert trained > evaluated + 0.1
    assert not heads.auxiliary
