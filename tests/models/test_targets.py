"""Labels and weights in arrays obey the rules of the readers, in every call."""

import keras
import numpy as np
import pyarrow as pa
import pytest

import kranking as kr

ROWS = 8
AGE = np.linspace(-1, 1, ROWS).astype("float32")
X = {"age": AGE}
GOOD = (AGE > 0).astype("float32")


def network(*tasks, **options):
    keras.utils.set_random_seed(0)
    features = [kr.features.Numeric("age", mean=0.0, std=1.0)]
    tasks = tasks or (kr.Task("save"),)
    model = kr.RankingModel(features, [kr.layers.MLP([2])], tasks)
    model.compile(keras.optimizers.SGD(0.0), weighted_metrics=None, **options)
    return model


@pytest.fixture(scope="module")
def one():
    return network()


@pytest.fixture(scope="module")
def two():
    return network(kr.Task("save"), kr.Task("closeup"))


def calls(model):
    return {
        "fit": lambda y, w=None: model.fit(X, y, sample_weight=w, verbose=0),
        "evaluate": lambda y, w=None: model.evaluate(X, y, sample_weight=w, verbose=0),
        "train_on_batch": lambda y, w=None: model.train_on_batch(X, y, w),
        "test_on_batch": lambda y, w=None: model.test_on_batch(X, y, w),
        "validation_data": lambda y, w=None: model.fit(
            X, {"save": GOOD}, validation_data=(X, y, w), verbose=0
        ),
    }


def loss(model, y, **options):
    return model.test_on_batch(X, y, return_dict=True, **options)["loss"]


CALLS = ["fit", "evaluate", "train_on_batch", "test_on_batch", "validation_data"]
LABELS = {
    "counts": GOOD * 4,
    "minus one": np.where(np.arange(ROWS) % 3 == 0, -1, GOOD).astype("int64"),
    "one and two": pa.array(GOOD + 1),
    "NaN": np.where(AGE > 0.5, np.nan, GOOD),
    "null": [None, *GOOD[1:].tolist()],
    "infinity": [float("inf"), *GOOD[1:].tolist()],
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("labels", LABELS)
def test_bad_labels_are_refused(one, call, labels):
    with pytest.raises(ValueError, match=r"Task 'save' does not accept .* row [0-7] of"):
        calls(one)[call]({"save": LABELS[labels]})


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("weight", [-1.0, np.nan, np.inf, 1e39, 1e20])
def test_bad_weights_are_refused(one, call, weight):
    weights = np.where(np.arange(ROWS) == 5, weight, 1.0)
    with pytest.raises(
        ValueError, match=r"`sample_weight` must be finite and non-negative.* row 5"
    ):
        calls(one)[call]({"save": GOOD}, weights)


def test_lists_are_in_the_order_of_the_tasks(two):
    by_name = loss(two, {"save": GOOD, "closeup": GOOD * 0})
    assert loss(two, [GOOD, GOOD * 0]) == pytest.approx(by_name)
    assert loss(two, pa.table({"save": GOOD, "closeup": GOOD * 0})) == pytest.approx(by_name)
    heavy = {"save": np.full(ROWS, 3.0), "closeup": np.ones(ROWS)}
    expected = loss(two, [GOOD, GOOD * 0], sample_weight=heavy)
    assert expected != pytest.approx(by_name)
    same = (list(heavy.values()), {"save": heavy["save"]})
    for weights in same:
        assert loss(two, [GOOD, GOOD * 0], sample_weight=weights) == pytest.approx(expected)


@pytest.mark.parametrize(
    "y",
    [
        GOOD,
        [GOOD],
        [GOOD] * 3,
        np.stack([GOOD, GOOD], 1),
        {"save": GOOD},
        {"save": GOOD, "x": GOOD},
    ],
)
def test_labels_of_other_tasks_are_refused(two, y):
    with pytest.raises(
        ValueError, match=r"`y` must be a dict with exactly the tasks \['save', 'close"
    ):
        two.fit(X, y, verbose=0)


def test_one_task_takes_one_array(one):
    expected = loss(one, {"save": GOOD})
    column = GOOD.reshape(-1, 1)
    for y in (GOOD, GOOD.tolist(), [GOOD], column, column.tolist(), GOOD > 0, pa.array(GOOD)):
        assert loss(one, y) == pytest.approx(expected)


def test_lengths_must_agree(one):
    with pytest.raises(ValueError, match=r"`x` and `y` must have equally many rows. Received: 7"):
        one.fit(X, GOOD[1:], verbose=0)
    with pytest.raises(ValueError, match=r"one weight for each of the 8 labels. Received: 7"):
        one.fit(X, GOOD, sample_weight=GOOD[1:], verbose=0)
    with pytest.raises(ValueError, match=r"shape \(rows,\) or \(rows, 1\). Received: \(8, 2\)"):
        one.fit(X, np.ones((ROWS, 2)), verbose=0)


def test_what_was_not_observed_has_weight_0(one):
    masked = network(kr.Task("save", nulls="mask"))
    labels = np.where(np.arange(ROWS) < 3, np.nan, GOOD)
    weights = (np.arange(ROWS) >= 3).astype("float32")
    expected = loss(one, GOOD, sample_weight=weights)
    assert loss(masked, labels) == pytest.approx(expected)
    assert loss(masked, labels, sample_weight=2 * weights) == pytest.approx(2 * expected)


def test_class_weight_of_one_task(one):
    right = loss(one, GOOD, sample_weight=np.where(GOOD == 1, 10.0, 0.5))
    logs = one.fit(X, GOOD, class_weight={0: 0.5, 1: 10.0}, verbose=0).history
    assert logs["loss"][0] == pytest.approx(right)
    step = one.train_on_batch(X, GOOD, class_weight={0: 0.5, 1: 10.0}, return_dict=True)
    assert step["loss"] == pytest.approx(right)
    with pytest.raises(ValueError, match="keys 0 and 1"):
        one.fit(X, GOOD, class_weight={"save": 2.0}, verbose=0)
    with pytest.raises(ValueError, match="keys 0 and 1, for labels 0 and 1"):
        one.fit(X, GOOD / 2, class_weight={1: 2.0}, verbose=0)
    with pytest.raises(ValueError, match="`sample_weight` must be finite and non-negative"):
        one.fit(X, GOOD, class_weight={1: -2.0}, verbose=0)


def test_class_weight_elsewhere_names_sample_weight(one, two):
    with pytest.raises(ValueError, match=r"one task.*`sample_weight=.*Received: 2 tasks"):
        two.fit(X, [GOOD, GOOD], class_weight={1: 2.0}, verbose=0)
    reader = kr.data.read({"age": AGE, "save": GOOD}, one)
    with pytest.raises(ValueError, match=r"class_weight.*column `sample_weight`"):
        one.fit(reader, class_weight={1: 2.0}, verbose=0)


def said_once(caught):
    return [str(one.message).startswith("Task ") for one in caught].count(True) == 1


def test_a_task_of_one_class_is_named_with_counts(two):
    lonely, mixed = {"save": GOOD * 0, "closeup": GOOD}, {"save": GOOD, "closeup": GOOD}
    said = "Task 'save' has 0 positive and 8 negative labels in the observed rows of the {} data"
    with pytest.warns(UserWarning, match=said.format("training")) as caught:
        two.fit(X, lonely, epochs=2, verbose=0)
    assert said_once(caught)
    with pytest.warns(UserWarning, match=said.format("validation")) as caught:
        two.fit(X, mixed, validation_data=(X, lonely), epochs=2, verbose=0)
    assert said_once(caught)
    reader = kr.data.read({"age": AGE, **lonely}, two)
    with pytest.warns(UserWarning, match=said.format("training")) as caught:
        two.fit(reader, epochs=1, verbose=0)
    assert said_once(caught)
