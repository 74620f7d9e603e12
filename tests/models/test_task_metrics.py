"""Metrics in `compile`: what they get, for which task, and which direction is better."""

import keras
import numpy as np
import pytest

import kranking as kr
from kranking import metrics as km

AGES = np.linspace(-3, 3, 64, dtype="float32")
X = {"age": AGES}
Y = {"save": (AGES > 0.5).astype("float32"), "hide": (AGES % 1 > 0.3).astype("float32")}


def network(tasks=("save", "hide"), **options):
    model = kr.RankingModel(
        [kr.features.Numeric("age", mean=0.0, std=1.0)],
        [],
        [kr.Task(task) for task in tasks],
    )
    model.heads.set_weights([np.array([[2.0, -0.5][: len(tasks)]]), np.ones(len(tasks))])
    model.compile("sgd", **options)
    return model


def brier(y_true, y_pred):
    return keras.ops.mean(keras.ops.square(y_true - y_pred), axis=-1)


@pytest.mark.parametrize("argument", ["metrics", "weighted_metrics"])
def test_each_metric_gets_what_it_takes(argument, tmp_path):
    given = [
        "accuracy",
        keras.metrics.AUC(name="auc", num_thresholds=2000),
        keras.metrics.BinaryCrossentropy(name="ce"),
        keras.metrics.BinaryCrossentropy(from_logits=True, name="ce of logits"),
        keras.metrics.binary_crossentropy,
        km.LogLoss(),
        km.NormalizedEntropy(from_logits=True, name="exact_ne"),
    ]
    if argument == "metrics":
        given.append(brier)  # a function of a test is in no file
    model = network(**{argument: given})
    logs = model.evaluate(X, Y, verbose=0, return_dict=True)
    for task, p in model.predict(X, verbose=0).items():
        y, p = Y[task], p[:, 0]
        loss = km.log_loss(y, p)
        expected = {
            "accuracy": np.mean((p > 0.5) == y),
            "auc": km.auc(y, p),
            "ce": loss,
            "ce of logits": loss,
            "binary_crossentropy": loss,
            "logloss": loss,
            "exact_ne": km.normalized_entropy(y, p),
            "brier": np.mean((y - p) ** 2),
        }
        for name, value in expected.items():
            if name != "brier" or argument == "metrics":
                np.testing.assert_allclose(logs[f"{task}_{name}"], value, atol=2e-3, err_msg=name)
        np.testing.assert_allclose(logs[f"{task}_logloss"], loss, rtol=1e-5)
    if argument == "weighted_metrics":
        model.save(tmp_path / "model.keras")
        loaded = keras.saving.load_model(tmp_path / "model.keras")
        again = loaded.evaluate(X, Y, verbose=0, return_dict=True)
        assert again == pytest.approx(logs)


@pytest.mark.parametrize(
    ("metrics", "match"),
    [
        ({"like": ["AUC"]}, r"dict of such lists by task, of \['save', 'hide'\].*of \['like'\]"),
        ([["AUC"], ["AUC"]], "`metrics` must be a list of metrics for all tasks"),
        (["AUCC"], "`metrics` must be metrics, their names.*Received: 'AUCC'"),
        ([keras.metrics.AUC], "`metrics` must be metrics.*Received: <class"),
        ([3], "`metrics` must be metrics.*Received: 3"),
    ],
)
def test_other_metrics_are_refused(metrics, match):
    with pytest.raises(ValueError, match=match):
        network(metrics=metrics)


def test_one_object_for_two_tasks_counts_each_alone():
    shared = km.Calibration(from_logits=True, name="shared")
    model = network(metrics={"save": [shared], "hide": [shared]}, weighted_metrics=None)
    logs = model.evaluate(X, Y, verbose=0, return_dict=True)
    for task, p in model.predict(X, verbose=0).items():
        assert logs[f"{task}_shared"] == pytest.approx(km.calibration(Y[task], p), rel=1e-5)


class Own(keras.metrics.Metric):
    """A metric that cannot be created from its configuration."""

    def __init__(self):
        super().__init__(name="own")
        self.most = self.add_variable((), "zeros", name="most")

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.most.assign(keras.ops.max(y_pred))

    def result(self):
        return self.most + 0


def test_a_metric_of_ones_own_gets_probabilities():
    model = network(metrics={"save": Own()}, weighted_metrics=None)
    logs = model.evaluate(X, Y, batch_size=64, verbose=0, return_dict=True)
    assert logs["save_own"] == pytest.approx(model.predict(X, verbose=0)["save"].max())
    with pytest.raises(ValueError, match=r"one object for each task.*Received: 'own' for several"):
        network(metrics=[Own()])


def monitors(name):
    return [
        keras.callbacks.EarlyStopping(name, patience=9),
        keras.callbacks.ReduceLROnPlateau(name),
        keras.callbacks.ModelCheckpoint("never.weights.h5", name, save_best_only=True),
    ]


BETTER = {
    "loss": "min",
    "hide_loss": "min",
    "save_ne": "min",
    "hide_binned_auc": "max",
    "save_accuracy": "max",
    "hide_brier": None,
}
EXACT = {"save_auc": "max", "hide_gauc": "max", "hide_hit@3": "max", "save_logloss": "min"}


@pytest.mark.parametrize(("name", "mode"), [*BETTER.items(), *EXACT.items()])
def test_auto_modes_know_the_better_direction(name, mode, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = network(metrics=["accuracy", brier])
    names = ["auc", "gauc", "hit@3", "logloss"]
    exact = kr.training.RankingEvaluation((X, Y), np.zeros(64), names)
    callbacks = [*(monitors(name) if name not in EXACT else []), *monitors(f"val_{name}")]
    for callback in callbacks:
        callback.save_best_only = False  # nothing is to be written
        callback.save_freq = 10**9
    options = {"validation_data": (X, Y), "batch_size": 64, "verbose": 0}
    if mode is None:
        with pytest.raises(ValueError, match="must monitor a log with a better direction"):
            model.fit(X, Y, callbacks=[exact, *callbacks], **options)
        return
    model.fit(X, Y, callbacks=[exact, *callbacks], **options)
    assert {callback.mode for callback in callbacks} == {mode}
    better = keras.ops.less if mode == "min" else keras.ops.greater
    asked = [c for c in callbacks if not isinstance(c, keras.callbacks.ModelCheckpoint)]
    assert all(callback.monitor_op == better for callback in asked)


@pytest.mark.parametrize("name", ["val_save_calibration", "hide_calibration"])
def test_a_calibration_has_no_better_direction(name):
    for callback in monitors(name):
        with pytest.raises(ValueError, match=rf"{type(callback).__name__} must .*'{name}'"):
            network().fit(X, Y, validation_data=(X, Y), callbacks=[callback], verbose=0)


def test_an_unknown_log_is_refused_before_the_first_epoch():
    """A mode that is given is for logs of other callbacks."""
    stop = keras.callbacks.EarlyStopping("val_save_auc")
    with pytest.raises(ValueError, match=r"'val_save_auc'. Did you mean 'val_save_binned_auc'\?"):
        network().fit(X, Y, validation_data=(X, Y), callbacks=[stop], verbose=0)
    stop = keras.callbacks.EarlyStopping("mine", mode="max")
    mine = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(mine=1.0))
    network().fit(X, Y, callbacks=[mine, stop], verbose=0)
    assert stop.best == 1.0


def test_one_task_has_its_names_too():
    model = network(["save"], metrics=["accuracy"])
    y = {"save": Y["save"]}
    stops = [keras.callbacks.EarlyStopping(n) for n in ("save_ne", "accuracy", "save_binned_auc")]
    model.fit(X, y, callbacks=stops, verbose=0)
    assert [stop.mode for stop in stops] == ["min", "max", "max"]
