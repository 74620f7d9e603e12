"""MirroredStrategy: two logical processors train as one device does at the same global batch."""

from contextlib import nullcontext

import keras
import numpy as np
import pytest

import kranking as kr

on_tensorflow = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="tf.distribute belongs to TensorFlow"
)


@pytest.fixture(scope="module")
def runs(tmp_path_factory, two_replicas):
    folder = tmp_path_factory.mktemp("log")
    kr.data.write_homefeed(folder, num_rows=1_100, seed=1, num_users=50, num_pins=60)
    return {1: run(folder / "train", None), 2: run(folder / "train", two_replicas)}


def run(folder, strategy):
    keras.utils.set_random_seed(7)
    features, tasks = kr.data.homefeed_declarations()
    features = kr.features.fit(features, folder)
    with strategy.scope() if strategy else nullcontext():
        model = kr.architectures.pinterest_baseline(features, tasks, depth=1, scale=0.02)
        refused = refusals(model) if strategy else []
        model.compile(keras.optimizers.Adam(1e-3))
    rows = kr.data.read_parquet(folder, model, batch_size=256)
    return {
        "replicas": strategy.num_replicas_in_sync if strategy else 1,
        "loss": model.fit(rows, epochs=2, verbose=0, shuffle=False).history["loss"],
        "scores": model.evaluate(rows, verbose=0, return_dict=True),
        "save": model.predict(rows, verbose=0)["save"].ravel()[:50],
        "weights": sum(np.abs(weight).sum() for weight in model.get_weights()),
        "refused": refused,
    }


def refusals(model):
    accumulating = keras.optimizers.Adam(gradient_accumulation_steps=2)
    options = [{"jit_compile": True}, {"steps_per_execution": 4}, {"optimizer": accumulating}]
    messages = []
    for option in options:
        with pytest.raises(ValueError) as error:  # noqa: PT011, the message is tested below
            model.compile(**{"optimizer": "adam", **option})
        messages.append(str(error.value))
    return messages


@on_tensorflow
def test_two_replicas_equal_one_device(runs):
    assert (runs[1]["replicas"], runs[2]["replicas"]) == (1, 2)
    np.testing.assert_allclose(runs[2]["loss"], runs[1]["loss"], rtol=1e-5)
    np.testing.assert_allclose(runs[2]["weights"], runs[1]["weights"], rtol=1e-6)
    np.testing.assert_allclose(runs[2]["save"], runs[1]["save"], atol=1e-5)
    for name, value in runs[1]["scores"].items():
        np.testing.assert_allclose(runs[2]["scores"][name], value, rtol=1e-4, err_msg=name)


@on_tensorflow
@pytest.mark.parametrize(
    ("position", "received", "alternative"),
    [
        (0, "jit_compile=True", "jit_compile='auto'"),
        (1, "steps_per_execution=4", "larger batch_size"),
        (2, "gradient_accumulation_steps=2", "larger batch_size"),
    ],
)
def test_options_that_break_it_are_refused(runs, position, received, alternative):
    message = runs[2]["refused"][position]
    assert f"Received: {received} inside the scope of a strategy" in message
    assert alternative in message


@pytest.mark.skipif(keras.backend.backend() == "tensorflow", reason="for the other backends")
def test_other_backends_are_told_what_to_do():
    with pytest.raises(RuntimeError, match="KERAS_BACKEND=tensorflow"):
        kr.training.mirrored_strategy()


def test_number_of_processors_is_checked():
    with pytest.raises(ValueError, match="`num_logical_cpus` must be a positive integer"):
        kr.training.mirrored_strategy(num_logical_cpus=0)


@on_tensorflow
def test_processors_are_split_before_tensorflow_starts():
    np.asarray(keras.ops.ones(1))
    with pytest.raises(RuntimeError, match=r"must be set before .*num_logical_cpus=3"):
        kr.training.mirrored_strategy(num_logical_cpus=3)
