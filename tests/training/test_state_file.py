"""A training that is stopped and goes on ends where one that was not stopped does."""

import random

import keras
import numpy as np
import pytest

from kranking.training import load_state, save_state

ROWS = np.random.default_rng(0).normal(size=(64, 3)).astype("float32")
LABELS = (ROWS[:, :1] > 0).astype("float32")


def made(units=4, optimizer="adam"):
    model = keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Dense(units, "relu"),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(1),
        ]
    )
    model.compile(optimizer, "mse")
    return model


def trained(model, *callbacks):
    model.fit(ROWS, LABELS, batch_size=16, shuffle=False, verbose=0, callbacks=callbacks)
    return model


def everything(model):
    return [keras.ops.convert_to_numpy(v) for v in (*model.variables, *model.optimizer.variables)]


def test_goes_on_as_if_never_stopped(tmp_path):
    """Weights, slots, the masks of dropout, and what Python and NumPy draw."""
    path = tmp_path / "folder" / "state.npz"
    model = trained(made())
    save_state(model, path, {"epoch": 1})
    expected = everything(trained(model))
    drawn = random.random(), np.random.random()  # noqa: NPY002
    keras.utils.set_random_seed(7)
    other, notes = made(), []
    begin = keras.callbacks.LambdaCallback(
        on_train_begin=lambda _: notes.append(load_state(other, path))
    )
    found = everything(trained(other, begin))
    assert notes == [{"epoch": 1}]
    assert all(np.array_equal(a, b) for a, b in zip(expected, found, strict=True))
    assert drawn == (random.random(), np.random.random())  # noqa: NPY002


def test_slots_that_are_not_made_yet(tmp_path):
    model = made()
    save_state(model, tmp_path / "state.npz")
    other = trained(made())
    load_state(other, tmp_path / "state.npz")
    for one, another in zip(everything(model), everything(other), strict=True):
        np.testing.assert_array_equal(one, another)


def test_a_failed_writing_leaves_the_old_file(tmp_path, monkeypatch):
    model = made()
    save_state(model, tmp_path / "state.npz", {"step": 1})

    def full(_):
        raise OSError("no space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="no space left"):
        save_state(model, tmp_path / "state.npz", {"step": 2})
    assert load_state(model, tmp_path / "state.npz") == {"step": 1}


def test_rejects(tmp_path):
    path = tmp_path / "state.npz"
    save_state(made(), path)
    before = made(units=5)
    weights = before.get_weights()
    with pytest.raises(ValueError, match=r"state of another model.*First difference: .*kernel: "):
        load_state(before, path)
    for one, another in zip(weights, before.get_weights()):
        np.testing.assert_array_equal(one, another)
    with pytest.raises(ValueError, match=r"another optimizer. Expected: SGD. Received: Adam"):
        load_state(made(optimizer="sgd"), path)
    with pytest.raises(FileNotFoundError):
        load_state(made(), tmp_path / "none.npz")
    with pytest.raises(ValueError, match="`model` must be compiled"):
        save_state(keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]), path)
    unbuilt = keras.Sequential([keras.layers.Dense(1)])
    unbuilt.compile("sgd", "mse")
    with pytest.raises(ValueError, match="`model` must be built"):
        save_state(unbuilt, path)


@pytest.mark.parametrize("kept", [0, 10, 700, -20])
def test_a_damaged_file_is_refused(tmp_path, kept):
    path = tmp_path / "state.npz"
    save_state(made(), path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ValueError, match="is damaged or was not written by save_state"):
        load_state(made(), path)


def test_a_file_of_another_kind_is_refused(tmp_path):
    np.savez(tmp_path / "weights.npz", kernel=np.ones(3))
    with pytest.raises(ValueError, match="is damaged or was not written by save_state"):
        load_state(made(), tmp_path / "weights.npz")
