"""A training that is stopped and goes on ends where one that was not stopped does."""

import json
import random

import keras
import numpy as np
import pytest

import kranking as kr
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
    with pytest.raises(
        ValueError, match=r"state of another model: .*units differs. Expected: 5. R"
    ):
        load_state(before, path)
    for one, another in zip(weights, before.get_weights()):
        np.testing.assert_array_equal(one, another)
    with pytest.raises(
        ValueError, match=r"another optimizer: class differs. Expected: 'SGD'. Received: 'A"
    ):
        load_state(made(optimizer="sgd"), path)
    with pytest.raises(ValueError, match=r"`path` must be a file .*none.npz', which is none"):
        load_state(made(), tmp_path / "none.npz")
    with pytest.raises(ValueError, match="`model` must be compiled"):
        save_state(keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]), path)
    unbuilt = keras.Sequential([keras.layers.Dense(1)])
    unbuilt.compile("sgd", "mse")
    with pytest.raises(ValueError, match="`model` must be built"):
        save_state(unbuilt, path)


def ranking(country=("DE", "FR"), mean=0.0, tasks=("save", "hide"), optimizer=None, **options):
    features = [
        kr.features.Categorical("country", vocabulary=country, embedding_dim=2),
        kr.features.Numeric("age", mean=mean, std=1.0),
    ]
    blocks = [kr.layers.MLP([3], **options)]
    model = kr.RankingModel(features, blocks, [kr.Task(task) for task in tasks])
    if optimizer == "clipped":
        optimizer = keras.optimizers.Adam(0.01, clipnorm=1.0)
    model.compile(optimizer or keras.optimizers.Adam(0.01), weighted_metrics=None)
    model.optimizer.build(model.trainable_variables)
    return model


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (
            {"country": ("FR", "DE")},
            r"feature 'country': vocabulary differs. Expected: \['FR', 'DE'\]. Received: \['DE', 'FR'\]",
        ),
        ({"mean": 3.0}, "feature 'age': mean differs. Expected: 3.0. Received: 0.0"),
        ({"tasks": ("hide", "save")}, r"tasks differs. Expected: \['hide', 'save'\]"),
        ({"activation": "tanh"}, r"block 0 \(MLP\): activation differs. Expected: 'tanh'. Re"),
        (
            {"optimizer": "clipped"},
            "another optimizer: clipnorm differs. Expected: 1.0. Received: None",
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
@pytest.mark.once
def test_a_state_knows_whose_it_is(other, message, tmp_path):
    path = tmp_path / "state.npz"
    save_state(ranking(), path)
    load_state(ranking(), path)
    model = ranking(**other)
    before = everything(model)
    with pytest.raises(ValueError, match=f"state.npz' has the state of .*{message}"):
        load_state(model, path)
    for one, another in zip(before, everything(model), strict=True):
        np.testing.assert_array_equal(one, another)


@pytest.mark.once
def test_a_long_vocabulary_is_known_by_its_hash(tmp_path):
    words = [f"word {i}" for i in range(10_000)]
    save_state(ranking(country=words), tmp_path / "state.npz")
    words[7_000] = "another"
    with pytest.raises(ValueError, match=r"'country': vocabulary differs.*10,000 values, "):
        load_state(ranking(country=words), tmp_path / "state.npz")


@pytest.mark.once
def test_numbers_of_layers_and_counts_of_rows_do_not_matter(tmp_path):
    """A functional model refers to its layers by names that Keras numbers in each process."""

    def functional():
        x = keras.Input((3,))
        hidden = keras.layers.Dense(2)(x)
        model = keras.Model(x, keras.layers.Add()([hidden, keras.layers.Dense(2)(x)]))
        model.compile("adam", "mse")
        return model

    save_state(functional(), tmp_path / "state.npz")
    load_state(functional(), tmp_path / "state.npz")


@pytest.mark.once
def test_the_learning_rate_is_part_of_the_state_and_said(tmp_path):
    path = tmp_path / "state.npz"
    save_state(ranking(), path)
    model = ranking(optimizer=keras.optimizers.Adam(0.5))
    with pytest.warns(UserWarning, match=r"rate 0.01 of .*state.npz' replaces 0.5. To continue"):
        load_state(model, path)
    assert float(model.optimizer.learning_rate) == np.float32(0.01)
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)
    load_state(ranking(optimizer=keras.optimizers.Adam(schedule)), path)


@pytest.mark.once
def test_a_state_is_finite(tmp_path):
    path, model = tmp_path / "state.npz", ranking()
    save_state(model, path, {"step": 1})
    variable = model.trainable_variables[0]
    variable.assign(variable.value * float("nan"))
    with pytest.raises(ValueError, match=r"must be finite; .*state.npz' is left as it was"):
        save_state(model, path)
    assert load_state(model, path) == {"step": 1}
    edit(path, lambda head, arrays: arrays["variable_0"].fill(np.inf))
    with pytest.raises(ValueError, match=r"state.npz' is damaged.* NaN or infinity for "):
        load_state(model, path)


def edit(path, change):
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    head = json.loads(str(arrays["head"]))
    change(head, arrays)
    with path.open("wb") as file:
        np.savez(file, **arrays | {"head": np.array(json.dumps(head))})


@pytest.mark.parametrize(
    "change",
    [
        lambda head, arrays: head.pop("notes"),
        lambda head, arrays: head.update(python=[3, [1], None]),
        lambda head, arrays: head.update(learning_rate="fast"),
        lambda head, arrays: head.update(variables=7),
        lambda head, arrays: arrays.update(numpy=arrays["numpy"][:3]),
        lambda head, arrays: arrays.pop("variable_3"),
        lambda head, arrays: arrays.update(variable_1=arrays["variable_1"][:1]),
        lambda head, arrays: arrays.update(variable_1=arrays["variable_1"].astype("float64")),
        lambda head, arrays: arrays.update(variable_2=np.array({})),
    ],
    ids=["notes", "python", "rate", "signatures", "numpy", "absent", "shape", "dtype", "object"],
)
def test_a_file_with_a_wrong_entry_changes_nothing(change, tmp_path):
    path, model = tmp_path / "state.npz", ranking()
    save_state(model, path)
    edit(path, change)
    model = ranking()
    before, drawn = everything(model), random.getstate()
    with pytest.raises(ValueError, match=r"state\.npz"):
        load_state(model, path)
    assert random.getstate() == drawn
    for one, another in zip(before, everything(model), strict=True):
        np.testing.assert_array_equal(one, another)


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


def test_weights_of_another_model_change_nothing(tmp_path):
    """Also where the shapes agree: a vocabulary in another order, tasks in another order."""
    path = tmp_path / "model.weights.h5"
    ranking().save_weights(path)
    for other, message in (
        ({"country": ("FR", "DE")}, r"feature 'country': vocabulary differs. Expected: \['FR'"),
        ({"country": ("DE", "FR", "IT")}, "feature 'country': vocabulary differs"),
        ({"tasks": ("hide", "save")}, "tasks differs"),
    ):
        model = ranking(**other)
        before = everything(model)
        with pytest.raises(ValueError, match=f"h5' has the weights of another model: {message}"):
            model.load_weights(path)
        for one, another in zip(before, everything(model), strict=True):
            np.testing.assert_array_equal(one, another)
    model = ranking(country=("FR", "DE"))
    model.load_weights(path, skip_mismatch=True)  # transfers on purpose
    ranking().load_weights(path)


def test_damaged_weights_change_nothing(tmp_path):
    path, model = tmp_path / "model.weights.h5", ranking()
    model.save_weights(path)
    whole = path.read_bytes()
    other = ranking()
    before = everything(other)
    for content in (whole[:-40], whole[:3000], b"", b"no weights"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"weights\.h5' must have the weights of this model"):
            other.load_weights(path)
        for one, another in zip(before, everything(other), strict=True):
            np.testing.assert_array_equal(one, another)
    with pytest.raises(ValueError, match=r"none\.weights\.h5' must be a file that exists"):
        other.load_weights(tmp_path / "none.weights.h5")
