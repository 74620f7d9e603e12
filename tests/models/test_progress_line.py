"""What `fit` and `evaluate` print by default: one line an epoch, the losses and the AUC of each task."""

import keras
import numpy as np
import pytest

import kranking as kr
from kranking.metrics import NormalizedEntropy

pytestmark = pytest.mark.usefixtures("eager_training")
X = {"age": np.linspace(-1, 1, 8).astype("float32")}
Y = {task: (np.arange(8) % 2).astype("float32") for task in ("save", "hide")}


def network(**options):
    model = kr.RankingModel(
        [kr.features.Numeric("age", mean=0.0, std=1.0)],
        [kr.layers.MLP([2])],
        [kr.Task("save"), kr.Task("hide")],
    )
    model.compile("sgd", **options)
    return model


def lines(capsys):
    """The last state of each line that was printed."""
    return [line.split("\r")[-1] for line in capsys.readouterr().out.split("\n") if line.strip()]


def metrics(line):
    return [part.split(":")[0] for part in line.split(" - ")[1:]]


def test_fit_prints_the_losses_and_the_auc_of_each_task(capsys):
    history = network().fit(X, Y, validation_data=(X, Y), epochs=2).history
    first, line, second, _ = lines(capsys)
    assert (first, second) == ("Epoch 1/2", "Epoch 2/2")
    shown = ["save_binned_auc", "hide_binned_auc", "loss"]
    assert sorted(metrics(line)) == sorted([*shown, *(f"val_{name}" for name in shown)])
    assert {"save_ne", "val_hide_calibration"} <= set(history)  # what is not shown is there


def test_evaluate_prints_them_too(capsys):
    network().evaluate(X, Y)
    (line,) = lines(capsys)
    assert sorted(metrics(line)) == ["hide_binned_auc", "loss", "save_binned_auc"]


def test_entropy_stands_in_for_the_auc_and_everything_for_both(capsys):
    entropies = {task: [NormalizedEntropy(name="ne", from_logits=True)] for task in Y}
    network(weighted_metrics=entropies).fit(X, Y)
    network(weighted_metrics=None).fit(X, Y)
    first, second = lines(capsys)
    assert sorted(metrics(first)) == ["hide_ne", "loss", "save_ne"]
    assert sorted(metrics(second)) == ["hide_loss", "loss", "save_loss"]


def test_what_is_asked_for_is_printed(capsys):
    model = network()
    model.fit(X, Y, verbose=2)
    assert "save_calibration" in capsys.readouterr().out
    model.fit(X, Y, None, 1, 0)
    model.fit(X, Y, callbacks=keras.callbacks.CallbackList(add_history=True, model=model))
    assert not capsys.readouterr().out
