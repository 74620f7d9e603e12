import keras
import numpy as np
import pytest
from keras import ops

from kranking.features import (
    Categorical,
    Embedding,
    Numeric,
    Sequence,
    Task,
    TransAct,
    as_model_inputs,
)
from kranking.layers import MLP, CrossNetwork, ParallelMaskNet, SharedBottom
from kranking.losses import BinaryCrossentropy
from kranking.models import RankingModel

pytestmark = pytest.mark.usefixtures("eager_training")  # test_resume, test_rows and others trace

FEATURES = [
    Categorical("c", vocabulary=("a", "b"), embedding_dim=4),
    Numeric("n", mean=0.0, std=1.0),
    Embedding("e", dim=3),
]
TASKS = [Task("save", weight=2.0), Task("hide", weight=0.5)]
SIZE = 48


def dense(tensor):
    return np.array(ops.convert_to_numpy(tensor), "float32")


def model_of(*blocks, features=FEATURES, tasks=TASKS, **kwargs):
    return RankingModel(features, blocks or [CrossNetwork(1), MLP([4])], tasks, **kwargs)


def rows(model, size=SIZE, seed=0):
    rng = np.random.default_rng(seed)
    x = {}
    for name, spec in model.preprocessor.inputs.items():
        shape = (size, *spec.shape)
        values = rng.integers(0, 3, shape) if spec.dtype == "int32" else rng.standard_normal(shape)
        x[name] = values.astype(spec.dtype)
    x = as_model_inputs(x)
    y = {t.name: rng.integers(0, 2, size).astype("float32") for t in model.tasks}
    return x, y


def sigmoid(z):
    return 1 / (1 + np.exp(-z.astype("float64")))


def cross_entropy(y, z):
    z = z.astype("float64")[:, 0]
    return np.logaddexp(0, z) - y * z


def weights_of(model):
    return [dense(w) for w in model.weights if "seed" not in w.path]


def test_call_gives_logits_and_predict_probabilities_by_task():
    model = model_of()
    x, _ = rows(model)
    logits = model(x)
    assert list(logits) == ["save", "hide"]
    probabilities, batch = model.predict(x, verbose=0, batch_size=20), model.predict_on_batch(x)
    for task, logit in logits.items():
        assert tuple(logit.shape) == (SIZE, 1)
        expected = sigmoid(dense(logit))
        for given in (probabilities[task], batch[task], dense(model.probabilities(logits)[task])):
            assert given.dtype == np.float32
            np.testing.assert_allclose(given, expected, rtol=1e-5, atol=1e-7)


def test_batch_of_one_extra_inputs_and_columns():
    model = model_of()
    x, _ = rows(model)
    whole = model.predict(x, verbose=0)["hide"]
    one = model.predict({k: v[3:4] for k, v in x.items()}, verbose=0)["hide"]
    extra = model.predict({**x, "session": np.arange(SIZE)}, verbose=0)["hide"]
    column = model.predict({k: v.reshape(SIZE, -1) for k, v in x.items()}, verbose=0)["hide"]
    np.testing.assert_allclose(one[0], whole[3], rtol=1e-5)
    np.testing.assert_allclose(extra, whole, rtol=1e-6)
    np.testing.assert_allclose(column, whole, rtol=1e-6)


BAD_INPUTS = [
    ({"n": None}, r"all model inputs. Missing: \['n'\]. Received: \['c', 'e'\]"),
    ({"e": np.zeros((SIZE, 4), "float32")}, r"'e' must have shape \(batch, 3\).*4\)"),
    ({"n": np.zeros((SIZE, 2), "float32")}, r"'n' must have shape \(batch\)"),
]


@pytest.mark.parametrize(("change", "message"), BAD_INPUTS)
def test_bad_inputs_are_refused_by_name(change, message):
    model = model_of()
    x, y = rows(model)
    x = {k: v for k, v in {**x, **change}.items() if v is not None}
    with pytest.raises(ValueError, match=message):
        model(x)
    model.compile("sgd")
    with pytest.raises(ValueError, match=message):
        model.fit(x, y, verbose=0)


def test_inputs_must_be_a_dict():
    with pytest.raises(ValueError, match=r"Rows must be a dict of columns, .* Received: a ndarray"):
        model_of()(np.zeros((3, 2), "float32"))


def test_preprocess_and_predict_rows_of_a_log():
    model = model_of()
    columns = {"c": ["a", None, "zz"], "n": [1.0, 2.0, 3.0], "e": np.ones((3, 3))}
    x = model.preprocess(columns)
    assert x["c"].tolist() == [1, 0, 0]
    assert model.predict(x, verbose=0)["save"].shape == (3, 1)
    assert model.preprocessor.counts["c"]["out_of_vocabulary"] == 1


def test_compile_takes_losses_weights_and_metrics_from_the_tasks():
    model = model_of()
    model.compile(keras.optimizers.SGD(0.0))
    x, y = rows(model)
    logs = model.evaluate(x, y, batch_size=16, verbose=0, return_dict=True)
    logits = {k: dense(v) for k, v in model(x).items()}
    losses = {k: cross_entropy(y[k], logits[k]).mean() for k in y}
    for task in TASKS:
        assert logs[f"{task.name}_loss"] == pytest.approx(losses[task.name], rel=1e-5)
        for metric in ("ne", "calibration", "binned_auc"):
            assert np.isfinite(logs[f"{task.name}_{metric}"])
        rate = sigmoid(logits[task.name]).sum() / y[task.name].sum()
        assert logs[f"{task.name}_calibration"] == pytest.approx(rate, rel=1e-5)
    expected = sum(task.weight * losses[task.name] for task in TASKS)
    assert logs["loss"] == pytest.approx(expected, rel=1e-5)


def test_one_task_has_the_same_metric_names_as_many():
    model = model_of(tasks=[Task("save")])
    model.compile("sgd")
    x, y = rows(model)
    logs = model.fit(x, y, validation_data=(x, y), verbose=0).history
    assert {"loss", "save_ne", "save_calibration", "val_save_ne", "val_save_binned_auc"} <= set(
        logs
    )


def test_masked_rows_change_neither_metrics_nor_gradients():
    x, y = rows(model_of())
    weight = {k: np.ones(SIZE, "float32") for k in y}
    weight["hide"][::2] = 0.0
    flipped = {**y, "hide": np.where(weight["hide"] == 0, 1 - y["hide"], y["hide"])}
    trained = []
    for labels in (y, flipped):
        keras.utils.set_random_seed(3)
        model = model_of(MLP([4]))
        model.compile(keras.optimizers.SGD(0.5))
        model.fit(x, labels, sample_weight=weight, batch_size=16, shuffle=False, verbose=0)
        trained.append(weights_of(model))
    logs = model.evaluate(x, flipped, sample_weight=weight, verbose=0, return_dict=True)
    for one, other in zip(*trained, strict=True):
        np.testing.assert_array_equal(one, other)
    seen = weight["hide"] == 1
    logits = dense(model(x)["hide"])[seen]
    rate = sigmoid(logits).sum() / y["hide"][seen].sum()
    assert logs["hide_calibration"] == pytest.approx(rate, rel=1e-5)


def test_given_losses_weights_and_metrics_win():
    model = model_of()
    x, y = rows(model)
    error = keras.losses.MeanSquaredError()
    model.compile("sgd", loss=error, weighted_metrics=None)
    logits = {k: dense(v) for k, v in model(x).items()}
    losses = {k: ((y[k] - logits[k][:, 0]) ** 2).mean() for k in y}
    logs = model.evaluate(x, y, verbose=0, return_dict=True)
    assert logs["loss"] == pytest.approx(sum(t.weight * losses[t.name] for t in TASKS), rel=1e-4)
    assert not any("ne" in name.split("_") for name in logs)
    model.compile(
        "sgd",
        loss=dict.fromkeys(y, error),
        loss_weights={"save": 1.0, "hide": 0.0},
        metrics={"hide": [keras.metrics.MeanSquaredError(name="mse")]},
    )
    logs = model.evaluate(x, y, verbose=0, return_dict=True)
    assert logs["loss"] == pytest.approx(losses["save"], rel=1e-4)
    brier = ((y["hide"] - model.predict(x, verbose=0)["hide"][:, 0]) ** 2).mean()
    assert logs["hide_mse"] == pytest.approx(brier, rel=1e-4)


@pytest.mark.parametrize(
    "loss",
    [
        "binary_crossentropy",
        keras.losses.BinaryCrossentropy(),
        keras.losses.binary_crossentropy,
        {"save": keras.losses.BinaryFocalCrossentropy(), "hide": "mse"},
    ],
    ids=["name", "object", "function", "dict"],
)
def test_losses_of_probabilities_are_refused(loss):
    with pytest.raises(ValueError, match=r"must accept logits.*BinaryCrossentropy\(\)"):
        model_of().compile("sgd", loss=loss)
    model_of().compile("sgd", loss=keras.losses.BinaryCrossentropy(from_logits=True))
    model_of().compile("sgd", loss=BinaryCrossentropy(label_smoothing=0.1))


def test_sample_weight_of_all_tasks_and_validation_split():
    model = model_of()
    model.compile("sgd")
    x, y = rows(model)
    history = model.fit(
        x, y, sample_weight=np.ones(SIZE, "float32"), validation_split=0.25, verbose=0, epochs=2
    )
    assert len(history.history["val_save_ne"]) == 2


def test_keras_dataset_of_dicts():
    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 3

        def __getitem__(self, index):
            x, y = rows(model, 16, seed=index)
            return x, y, {k: np.ones(16, "float32") for k in y}

    model = model_of()
    model.compile("sgd")
    history = model.fit(Batches(workers=1), epochs=2, verbose=0).history
    assert history["loss"][1] < history["loss"][0]
    assert model.predict(Batches(workers=1), verbose=0)["hide"].shape == (48, 1)


def test_add_and_pop_before_and_after_training():
    model = RankingModel(FEATURES, tasks=TASKS)
    assert model.blocks == ()
    model.add(CrossNetwork(1))
    model.add(MLP([5]))
    x, y = rows(model)
    model.compile("sgd", weighted_metrics=None)
    model.fit(x, y, verbose=0)
    encoder, cross = weights_of(model.encoder), weights_of(model.blocks[0])
    mlp = model.pop()
    model.add(MLP([7]))
    assert [type(b).__name__ for b in model.blocks] == ["CrossNetwork", "MLP"]
    assert model.blocks[1] is not mlp
    for before, after in ((encoder, model.encoder), (cross, model.blocks[0])):
        for one, other in zip(before, weights_of(after), strict=True):
            np.testing.assert_array_equal(one, other)
    assert tuple(model.heads.weights[0].shape) == (7, 2)
    with pytest.raises(ValueError, match="compile"):
        model.fit(x, y, verbose=0)
    before = weights_of(model)
    model.compile("sgd", weighted_metrics=None)
    model.fit(x, y, verbose=0)
    moved = [np.abs(a - b).max() > 0 for a, b in zip(before, weights_of(model), strict=True)]
    assert all(moved)
    assert model.count_params() == model.work().parameters


def test_predict_follows_a_change_of_blocks():
    model = model_of()
    x, _ = rows(model)
    model.predict(x, verbose=0)
    model.add(MLP([3]))
    expected = sigmoid(dense(model(x)["save"]))
    np.testing.assert_allclose(model.predict(x, verbose=0)["save"], expected, rtol=1e-5)


def test_adding_keeps_the_weights_of_the_tokenizer():
    class Tokens(keras.layers.Layer):
        takes = gives = "tokens"

        def call(self, inputs):
            return inputs

    model = model_of(Tokens())
    before = weights_of(model.stack[0])
    model.add(MLP([3]))
    for one, other in zip(before, weights_of(model.stack[0]), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_block_that_does_not_fit_leaves_the_model_as_it_was():
    model = model_of()
    x, _ = rows(model)
    before = dense(model(x)["save"])
    with pytest.raises(ValueError, match=r"must return \(batch, width\)"):
        model.add(keras.layers.Reshape((2, 2, 1)))
    assert len(model.blocks) == 2
    np.testing.assert_array_equal(dense(model(x)["save"]), before)


def test_refused_blocks():
    block = MLP([3])
    model = model_of(block)
    with pytest.raises(ValueError, match="can occur only once in a model"):
        model.add(block)
    with pytest.raises(ValueError, match=r"`block` must be a Keras layer\. Received: 'mlp'"):
        model.add("mlp")
    model.pop()
    with pytest.raises(ValueError, match="no block to remove"):
        model.pop()


def test_bad_declarations_and_tasks():
    with pytest.raises(ValueError, match="'c' is not fitted"):
        RankingModel([Categorical("c")], [MLP([2])], TASKS)
    with pytest.raises(ValueError, match="at least one declaration"):
        RankingModel([], [MLP([2])], TASKS)
    for tasks in ([], ["save"]):
        with pytest.raises(ValueError, match="at least one kranking"):
            RankingModel(FEATURES, [MLP([2])], tasks)


AWKWARD = [
    "dense",
    "a/b",
    "naïve 漢字",
    "class",
    "x.y",
    "with space",
    "fields",
    "logits",
    "save",
    ":0",
]


AWKWARD_TASKS = ["naïve 漢字", "dense", "a/b:0"]  # one of them the name of a feature


def test_awkward_names_train_save_and_load(tmp_path):
    features = [
        Categorical(AWKWARD[0], hash_buckets=5),
        Categorical(AWKWARD[1], hash_buckets=5, max_length=2),
        *(Numeric(name, mean=0.0, std=1.0) for name in AWKWARD[2:6]),
        Embedding(AWKWARD[6], dim=3, project_to=2),
        Sequence(
            AWKWARD[7],
            of=AWKWARD[0],
            max_length=3,
            action="act",
            action_vocabulary=("x",),
        ),
        Categorical(AWKWARD[8], hash_buckets=5),
        Numeric(AWKWARD[9], transform="bucketize", boundaries=(0,)),
    ]
    model = model_of(features=features, tasks=[Task(name) for name in AWKWARD_TASKS])
    x, y = rows(model)
    model.compile("adam")
    history = model.fit(x, y, verbose=0).history
    assert {f"{name}_{kind}" for name in AWKWARD_TASKS for kind in ("ne", "loss")} <= set(history)
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    expected, got = model.predict(x, verbose=0), loaded.predict(x, verbose=0)
    assert list(got) == AWKWARD_TASKS
    for name in AWKWARD_TASKS:
        np.testing.assert_allclose(got[name], expected[name], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["naïve 漢字", "a/b"])
def test_awkward_name_of_a_single_task(name):
    model = model_of(MLP([2]), tasks=[Task(name)])
    x, y = rows(model)
    model.compile("sgd")
    assert f"{name}_ne" in model.evaluate(x, y, verbose=0, return_dict=True)


def test_interrupted_training_equals_uninterrupted(tmp_path):
    def new():
        keras.utils.set_random_seed(7)
        model = model_of(MLP([4]), heads=SharedBottom(tower_units=(3,)))
        model.compile(keras.optimizers.Adam(0.05))
        return model

    whole, first = new(), new()
    x, y = rows(whole)
    options = {"batch_size": 16, "shuffle": False, "verbose": 0}
    whole_logs = whole.fit(x, y, epochs=2, **options).history
    first.fit(x, y, epochs=1, **options)
    first.save(tmp_path / "m.keras")
    second = keras.saving.load_model(tmp_path / "m.keras")
    assert int(dense(second.optimizer.iterations)) == 3
    assert second.features == first.features
    assert second.tasks == first.tasks
    logs = second.fit(x, y, epochs=1, **options).history
    assert {name: values[0] for name, values in logs.items()} == pytest.approx(
        {name: values[1] for name, values in whole_logs.items()}, rel=1e-4
    )
    for one, other in zip(weights_of(whole), weights_of(second), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_hidden_is_what_the_heads_read():
    model = model_of(MLP([4]))
    x = as_model_inputs(rows(model)[0])
    hidden = model.hidden(x)
    assert hidden.shape == (SIZE, 4)
    logits = np.concatenate([dense(logit) for logit in model(x).values()], axis=1)
    np.testing.assert_allclose(dense(model.heads(hidden)), logits, rtol=1e-6)


def test_seed_gives_equal_weights_twice_and_others_differ():
    def weights(seed):
        keras.utils.set_random_seed(seed)
        return weights_of(model_of())

    one, other, different = weights(1), weights(1), weights(2)
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
    assert not np.array_equal(one[0], different[0])


def test_mixed_precision_has_float32_logits_and_ages():
    features = [
        FEATURES[0],
        Sequence(
            "s",
            of="c",
            max_length=3,
            time="t",
            request_time="now",
            encoder=TransAct(first_k=1, num_layers=1, time_window=60.0),
        ),
    ]
    model = model_of(MLP([3]), features=features, tasks=TASKS[:1], dtype="mixed_bfloat16")
    x, _ = rows(model)
    assert {keras.backend.standardize_dtype(v.dtype) for v in model(x).values()} == {"float32"}
    symbolic = {k: keras.Input(v.shape[1:], dtype=v.dtype, name=k) for k, v in x.items()}
    assert {v.dtype for v in model(symbolic).values()} == {"float32"}
    assert {w.dtype for w in model.trainable_weights} == {"float32"}
    transformer = model.encoder.transformers["s"]
    seen, call = [], transformer.call

    def spy(inputs, training=None):
        seen.append(dense(inputs[2]))
        return call(inputs, training=training)

    transformer.call = spy
    model({**x, "s.age": np.full((SIZE, 3), 86_401.0, "float32")})
    assert (seen[-1] == 86_401.0).all()  # bfloat16 would read 86,528


def test_is_a_layer_of_a_functional_model_and_can_be_cloned():
    model = model_of()
    x, _ = rows(model)
    symbolic = {k: keras.Input(v.shape[1:], dtype=v.dtype, name=k) for k, v in x.items()}
    outputs = model(symbolic)
    assert {k: v.shape for k, v in outputs.items()} == {t.name: (None, 1) for t in TASKS}
    total = keras.layers.Add()([outputs["save"], outputs["hide"]])
    surgery = keras.Model(symbolic, {"total": total, "save": outputs["save"]})
    logits = {k: dense(v) for k, v in model(x).items()}
    got = surgery.predict(x, verbose=0)
    np.testing.assert_allclose(got["total"], logits["save"] + logits["hide"], rtol=1e-4, atol=1e-6)
    clone = keras.models.clone_model(model)
    assert isinstance(clone, RankingModel)
    clone.set_weights(model.get_weights())
    np.testing.assert_allclose(dense(clone(x)["save"]), logits["save"], rtol=1e-5, atol=1e-6)


def test_layers_work_in_a_plain_functional_model(tmp_path):
    inputs = keras.Input((6,), name="x")
    hidden = ParallelMaskNet(num_blocks=2, block_dim=4, ln_emb="whole")(CrossNetwork(2)(inputs))
    model = keras.Model(inputs, SharedBottom(num_tasks=2)(MLP([3])(hidden)))
    model.compile("adam", loss="mse")
    x = np.random.default_rng(0).normal(size=(8, 6)).astype("float32")
    model.fit(x, np.zeros((8, 2), "float32"), verbose=0)
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    np.testing.assert_allclose(
        loaded.predict(x, verbose=0), model.predict(x, verbose=0), rtol=1e-5, atol=1e-6
    )


def test_regularizers_enter_the_loss():
    feature = Categorical(
        "c", hash_buckets=3, embedding_dim=4, regularizer=keras.regularizers.L2(0.5)
    )
    model = model_of(MLP([2]), features=[feature], tasks=[Task("save")])
    model.compile(keras.optimizers.SGD(0.0))
    x, y = rows(model)
    logs = model.evaluate(x, y, verbose=0, return_dict=True)
    penalty = 0.5 * (dense(model.encoder.table("c")) ** 2).sum()
    expected = cross_entropy(y["save"], dense(model(x)["save"])).mean() + penalty
    assert logs["loss"] == pytest.approx(expected, rel=1e-5)


def test_a_task_with_one_class_is_undefined_not_zero():
    model = model_of()
    model.compile("sgd")
    x, y = rows(model)
    one_class = {**y, "hide": np.zeros(SIZE, "float32")}
    with pytest.warns(UserWarning, match=f"Task 'hide' has 0 positive and {SIZE} negative labels"):
        logs = model.evaluate(x, one_class, verbose=0, return_dict=True)
    assert np.isnan(logs["hide_binned_auc"])
    assert np.isnan(logs["hide_ne"])
    assert np.isfinite(logs["loss"])


@pytest.mark.parametrize("ending", ["h5", "hdf5"])
def test_hdf5_is_refused(tmp_path, ending):
    with pytest.raises(ValueError, match=r"must end in .keras. HDF5"):
        model_of().save(tmp_path / f"model.{ending}")
    assert not list(tmp_path.iterdir())
