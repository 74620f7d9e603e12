import keras
import numpy as np
import pyarrow
import pyarrow.parquet as parquet
import pytest

from kranking import data, features, models
from kranking import metrics as km
from kranking.training import RankingEvaluation

N = 300


class Reader:
    """What a kranking reader promises: batches in a fixed order, and whole columns by name."""

    def __init__(self, arrays, batch_size=64, **columns):
        self.arrays, self.batch_size, self.columns = arrays, batch_size, columns
        self.passes = 0

    def __iter__(self):
        self.passes += 1
        for start in range(0, N, self.batch_size):
            part = slice(start, start + self.batch_size)
            yield tuple({k: v[part] for k, v in values.items()} for values in self.arrays)

    def column(self, name):
        return self.columns[name]


def log(seed=0):
    rng = np.random.default_rng(seed)
    x = {"a": rng.normal(size=(N, 3)).astype("float32"), "b": rng.integers(0, 9, N, "int32")}
    logit = x["a"] @ np.array([1.0, -2.0, 0.5]) + 0.2 * x["b"] - 1
    y = {
        "save": (rng.random(N) < 1 / (1 + np.exp(-logit))).astype("float32"),
        "hide": (rng.random(N) < 0.3).astype("float32"),
    }
    weight = {
        "save": rng.choice([0.0, 1.0, 2.0], N).astype("float32"),
        "hide": np.ones(N, "float32"),
    }
    return (x, y, weight), np.sort(rng.integers(0, 60, N)), rng.integers(0, 40, N)


def network(jit_compile="auto"):
    keras.utils.set_random_seed(1)
    a, b = keras.Input((3,), name="a"), keras.Input((), dtype="int32", name="b")
    merged = keras.layers.Concatenate()([a, keras.layers.Embedding(9, 4)(b)])
    hidden = keras.layers.Dense(16, "relu")(merged)
    hidden = keras.layers.Dropout(0.2, seed=3)(keras.layers.BatchNormalization()(hidden))
    model = keras.Model(
        {"a": a, "b": b}, {name: keras.layers.Dense(1)(hidden) for name in ("save", "hide")}
    )
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    model.compile(
        keras.optimizers.Adam(0.01), {"save": loss, "hide": loss}, jit_compile=jit_compile
    )
    return model


def expected(model, arrays, session, user):
    """Everything again, from predictions made here."""
    x, y, weight = arrays
    values = {}
    scores = model.predict(x, verbose=0)
    for task in y:
        score, label, w = scores[task][:, 0], y[task], weight[task]
        kept = w > 0
        values |= {
            f"val_{task}_auc": km.auc(label, score, w),
            f"val_{task}_gauc": km.grouped_auc(label, score, user, w),
            f"val_{task}_ne": km.normalized_entropy(label, score, w, from_logits=True),
            f"val_{task}_hit@3": km.HitAtK(3)(label[kept], score[kept], session[kept]),
            f"val_{task}_hit_any@2": km.HitAtK(2, "any", 4)(
                label[kept], score[kept], session[kept]
            ),
        }
    return values


METRICS = ["auc", "gauc", "ne", "hit@3", km.HitAtK(2, "any", min_items=4)]


def assert_close(values, wanted):
    assert list(values) == list(wanted)
    np.testing.assert_allclose(list(values.values()), list(wanted.values()), atol=1e-6)


@pytest.mark.parametrize("batch_size", [7, 64, 299, 1000])
def test_reader_and_arrays_agree_with_predictions(batch_size):
    arrays, session, user = log()
    model = network()
    reader = Reader(arrays, batch_size, session=session, user=user)
    wanted = expected(model, arrays, session, user)
    by_name = RankingEvaluation(reader, "session", METRICS, group="user", from_logits=True)
    assert_close(by_name.evaluate(model), wanted)
    whole = RankingEvaluation(
        arrays, session, METRICS, group=user, from_logits=True, batch_size=batch_size
    )
    assert_close(whole.evaluate(model), wanted)


def test_in_fit_sees_the_weights_of_the_epoch():
    """Each epoch's values equal those of the weights that a checkpoint kept at its end."""
    arrays, *_ = log()
    held_out, session, user = log(seed=1)
    model, kept = network(), []
    keep = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda *_: kept.append([np.array(w) for w in model.get_weights()])
    )
    reader = Reader(held_out, session=session, user=user)
    evaluation = RankingEvaluation(reader, "session", METRICS, group="user", from_logits=True)
    history = model.fit(
        *arrays[:2], sample_weight=arrays[2], epochs=3, verbose=0, callbacks=[evaluation, keep]
    ).history
    assert reader.passes == 3
    for epoch, weights in enumerate(kept):
        model.set_weights(weights)
        wanted = expected(model, held_out, session, user)
        assert_close({name: history[name][epoch] for name in wanted}, wanted)
    assert history["val_save_auc"][0] != history["val_save_auc"][2]
    assert history["val_save_auc"][2] > 0.6


def test_leaves_training_as_it_was():
    arrays, session, _ = log()
    weights = []
    for callbacks in ([], [RankingEvaluation(arrays, session)]):
        model = network()
        model.fit(
            *arrays[:2],
            sample_weight=arrays[2],
            epochs=2,
            verbose=0,
            callbacks=callbacks,
            shuffle=False,
        )
        weights.append(model.get_weights())
    for without, with_callback in zip(*weights, strict=True):
        np.testing.assert_allclose(without, with_callback, atol=1e-6)


def test_early_stopping_and_checkpoint_read_it(tmp_path):
    arrays, session, _ = log()
    model = network()
    best = tmp_path / "best.weights.h5"
    callbacks = [
        RankingEvaluation(arrays, session, ["auc"]),
        keras.callbacks.ModelCheckpoint(
            best,
            monitor="val_save_auc",
            mode="max",
            save_best_only=True,
            save_weights_only=True,
        ),
        keras.callbacks.EarlyStopping(monitor="val_save_auc", mode="max", patience=1),
    ]
    model.optimizer.learning_rate = 0.0  # the first epoch stays the best
    bn_free = [layer for layer in model.layers if "batch_norm" in layer.name]
    for layer in bn_free:
        layer.momentum = 1.0
    history = model.fit(
        *arrays[:2], sample_weight=arrays[2], epochs=9, verbose=0, callbacks=callbacks
    ).history
    assert len(history["val_save_auc"]) == 2
    assert best.exists()


def test_validation_data_and_evaluation_stand_side_by_side():
    arrays, session, _ = log()
    history = (
        network()
        .fit(
            *arrays[:2],
            sample_weight=arrays[2],
            validation_data=arrays,
            verbose=0,
            callbacks=[RankingEvaluation(arrays, session)],
        )
        .history
    )
    assert {"val_loss", "val_save_auc", "val_save_gauc", "val_hide_hit@3"} <= set(history)


def test_masked_rows_do_not_count():
    arrays, session, user = log()
    x, y, weight = arrays
    poisoned = x, {**y, "save": np.where(weight["save"] > 0, y["save"], np.nan)}, weight
    model = network()
    values = [
        RankingEvaluation(data, session, METRICS, group=user, from_logits=True).evaluate(model)
        for data in (arrays, poisoned)
    ]
    assert values[0] == values[1]


def test_undefined_is_nan():
    (x, y, weight), session, _ = log()
    model = network()
    never = {"save": np.zeros(N), "hide": np.zeros(N)}
    values = RankingEvaluation((x, never, weight), session).evaluate(model)
    assert np.isnan([values["val_save_auc"], values["val_save_gauc"]]).all()
    assert np.isnan(values["val_save_hit@3"])
    unseen = {**weight, "hide": np.zeros(N)}
    values = RankingEvaluation((x, y, unseen), session).evaluate(model)
    assert np.isnan([values[f"val_hide_{m}"] for m in ("auc", "gauc", "hit@3")]).all()
    assert np.isfinite(values["val_save_auc"])
    empty = tuple({k: v[:0] for k, v in part.items()} for part in (x, y, weight))
    values = RankingEvaluation(empty, session[:0]).evaluate(model)
    assert len(values) == 6
    assert np.isnan(list(values.values())).all()


def test_weights_may_be_left_out_or_shared():
    (x, y, weight), session, _ = log()
    model = network()
    ones = dict.fromkeys(y, np.ones(N))
    assert_close(
        RankingEvaluation((x, y), session).evaluate(model),
        RankingEvaluation((x, y, ones), session).evaluate(model),
    )
    shared = weight["save"]
    assert_close(
        RankingEvaluation((x, y, shared), session).evaluate(model),
        RankingEvaluation((x, y, dict.fromkeys(y, shared)), session).evaluate(model),
    )


def test_sessions_may_be_strings():
    arrays, session, _ = log()
    model = network()
    names = np.array([f"session {number}" for number in session], object)
    assert_close(*(RankingEvaluation(arrays, s).evaluate(model) for s in (session, names)))


def test_plain_model_with_one_output():
    (x, y, _), session, _ = log()
    inputs = keras.Input((3,))
    model = keras.Model(inputs, keras.layers.Dense(1)(inputs))
    for labels in (y["save"], y["save"][:, None]):
        values = RankingEvaluation((x["a"], labels), session, prefix="test_").evaluate(model)
        assert list(values) == ["test_auc", "test_gauc", "test_hit@3"]
        assert values["test_auc"] == km.auc(y["save"], model.predict(x["a"], verbose=0))


def test_a_plain_model_states_whether_its_outputs_are_logits():
    (x, y, _), _, _ = log()
    inputs = keras.Input((3,))
    probability = keras.layers.Dense(1, "sigmoid")(inputs)
    model, data = keras.Model(inputs, probability), (x["a"], y["save"])
    with pytest.raises(ValueError, match=r"`from_logits` must state .* metrics \['ne'\]"):
        RankingEvaluation(data, metrics=["auc", "ne"]).evaluate(model)
    values = RankingEvaluation(data, metrics=["ne"], from_logits=False).evaluate(model)
    expected = km.normalized_entropy(y["save"], model.predict(x["a"], verbose=0))
    assert values == {"val_ne": pytest.approx(expected)}


def test_collect_gives_rows_in_order():
    arrays, _, _ = log()
    model = network()
    rows = RankingEvaluation(Reader(arrays), metrics=["auc"]).collect(model)
    scores = model.predict(arrays[0], verbose=0)
    for task, (y, score, weight) in rows.items():
        np.testing.assert_array_equal(y, arrays[1][task])
        np.testing.assert_array_equal(weight, arrays[2][task])
        np.testing.assert_allclose(score, scores[task][:, 0], atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"metrics": ["auc", "hit@0"]}, r"`metrics` must be names in .*hit@3.*Received: 'hit@0'"),
        ({"metrics": ["auc", "auc"]}, r"`metrics` must not contain duplicates.*'auc'"),
        (
            {"metrics": ["hit@3"]},
            r"`session` is required by metric 'hit@3'. Received: session=None",
        ),
        ({"metrics": ["gauc"]}, r"`session` is required by metric 'gauc'"),
        ({"session": "session"}, r"`session` must be an array.*Received: session='session'"),
        ({"session": np.zeros(3), "batch_size": 0}, "`batch_size` must be a positive integer"),
    ],
)
def test_rejects_arguments(arguments, match):
    with pytest.raises(ValueError, match=match):
        RankingEvaluation(log()[0], **arguments)


def test_rejects_data():
    arrays, session, _ = log()
    x, y, _ = arrays
    model = network()
    with pytest.raises(
        ValueError, match=r"`data` must yield the same batches on every pass.*generator"
    ):
        RankingEvaluation((batch for batch in [arrays]), session)
    shuffled = Reader(arrays)
    shuffled.shuffled = True
    with pytest.raises(ValueError, match=r"`data` must yield the same batches.*type Reader"):
        RankingEvaluation(shuffled, session)
    with pytest.raises(ValueError, match=r"`session` must not be null.*Received: null in row 2"):
        RankingEvaluation(arrays, np.array(["a", "b", None]))
    with pytest.raises(ValueError, match=r"`session` must have one value for each of the 300 rows"):
        RankingEvaluation(arrays, session[:-1]).evaluate(model)
    with pytest.raises(ValueError, match=r"`group` must have one value for each of the 300 rows"):
        RankingEvaluation(arrays, session, group=session[:-1]).evaluate(model)
    with pytest.raises(ValueError, match=r"`data` must yield at least one batch"):
        RankingEvaluation([], session).evaluate(model)
    with pytest.raises(ValueError, match=r"`data` must have labels. Received: inputs only"):
        RankingEvaluation([(x,)], session).evaluate(model)
    with pytest.raises(
        ValueError, match=r"labels for the outputs of the model.*Received: labels of \['like'\]"
    ):
        RankingEvaluation((x, {**y, "like": y["save"]}), session).evaluate(model)


def test_ranking_model_is_scored_by_its_logits():
    """Its probabilities are all exactly 1 in float32 here, which would rank nothing."""
    model = models.RankingModel(
        [features.Numeric("age", mean=0.0, std=1.0)],
        [keras.layers.Dense(1, kernel_initializer="ones")],
        [features.Task("save")],
    )
    model.heads.set_weights([np.ones((1, 1)), np.full(1, 50.0)])
    ages = np.linspace(-1, 1, 8, dtype="float32")
    y = {"save": (ages > 0).astype("float32")}
    assert (model.predict({"age": ages}, verbose=0)["save"] == 1).all()
    values = RankingEvaluation(({"age": ages}, y), np.zeros(8)).evaluate(model)
    assert values == {"val_save_auc": 1.0, "val_save_gauc": 1.0, "val_save_hit@3": 3.0}


def test_parquet_reader(tmp_path):
    """A reader's rows, sessions and labels stay together, in `fit` and outside."""
    rng = np.random.default_rng(0)
    table = {
        "age": rng.normal(size=N).astype("float32"),
        "save": rng.integers(0, 2, N).astype("float32"),
        "session": [f"s{number}" for number in rng.integers(0, 50, N)],
    }
    for part in range(3):  # three files
        rows = slice(part * N // 3, (part + 1) * N // 3)
        columns = {name: values[rows] for name, values in table.items()}
        parquet.write_table(pyarrow.table(columns), tmp_path / f"part-{part}.parquet")
    model = models.RankingModel(
        [features.Numeric("age", mean=0.0, std=1.0)],
        [keras.layers.Dense(4, "relu")],
        [features.Task("save")],
    )
    model.compile(keras.optimizers.Adam(0.01))
    reader = data.read_parquet(tmp_path, model, batch_size=32)
    evaluation = RankingEvaluation(reader, "session")
    training = data.read_parquet(tmp_path, model, batch_size=32, shuffle=True, seed=1)
    logs = model.fit(training, epochs=2, verbose=0, callbacks=[evaluation]).history
    arrays = ({"age": table["age"]}, {"save": table["save"]})
    wanted = RankingEvaluation(arrays, np.array(table["session"])).evaluate(model)
    assert_close({name: logs[name][-1] for name in wanted}, wanted)
    assert_close(evaluation.evaluate(model), wanted)
