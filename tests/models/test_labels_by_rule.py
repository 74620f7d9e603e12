"""A model takes its labels by rule from raw columns, as a reader does, and keeps its rules in files."""

import keras
import numpy as np
import pyarrow as pa
import pytest

import kranking as kr
from kranking.models.internal import model_identity

LOG = {
    "age": np.linspace(-1, 1, 8).astype("float32"),
    "rating": [5, 4, 3, 2, 1, 4, None, 5],
    "session": [1, 1, 1, 1, 2, 2, 2, 2],
}
LABELS = np.array([1, 1, 0, 0, 0, 1, 0, 1], "float32")
SEEN = np.array([1, 1, 1, 1, 1, 1, 0, 1], "float32")
TASK = kr.Task("good", when="rating >= 4", nulls="mask")


def network(*tasks, **options):
    keras.utils.set_random_seed(0)
    features = [kr.features.Numeric("age", mean=0.0, std=1.0)]
    model = kr.RankingModel(features, [kr.layers.MLP([2])], tasks or [TASK])
    model.compile(keras.optimizers.SGD(0.0), weighted_metrics=None, **options)
    return model


@pytest.fixture(scope="module")
def model():
    return network()


def loss(model, rows, y=None, **options):
    return model.evaluate(rows, y, verbose=0, return_dict=True, **options)["loss"]


def test_labels_of_raw_columns_are_those_of_the_rule(model):
    inputs = {"age": LOG["age"]}
    expected = loss(model, inputs, {"good": LABELS}, sample_weight=SEEN)
    for rows in (LOG, pa.table(LOG), kr.data.read(LOG, model)):
        np.testing.assert_allclose(loss(model, rows), expected, rtol=1e-6)
    history = model.fit(LOG, validation_data=pa.table(LOG), verbose=0, shuffle=False).history
    np.testing.assert_allclose([history["loss"][0], history["val_loss"][0]], expected, rtol=1e-6)
    given = model.test_on_batch(LOG, return_dict=True)["loss"]
    np.testing.assert_allclose(given, expected, rtol=1e-6)
    assert loss(model, LOG, {"good": 1 - LABELS}) != pytest.approx(
        expected
    )  # labels that are given


@pytest.mark.once
def test_class_weight_and_single_classes_see_the_labels_of_the_rule():
    model, log = network(kr.Task("good", when="rating >= 4")), {**LOG, "rating": [5, 4, 3, 2] * 2}
    labels = np.array([1, 1, 0, 0] * 2)
    expected = model.fit(log, {"good": labels}, class_weight={0: 3.0, 1: 1.0}, verbose=0)
    given = model.fit(log, class_weight={0: 3.0, 1: 1.0}, verbose=0)
    assert given.history["loss"] == pytest.approx(expected.history["loss"])
    with pytest.warns(UserWarning, match="Task 'good' has 8 positive and 0 negative labels"):
        model.evaluate({**log, "rating": [4] * 8}, verbose=0)


@pytest.mark.once
def test_evaluation_of_a_reader_sees_the_labels_of_the_rule(model):
    reader = kr.data.read(LOG, model, batch_size=3)
    exact = kr.training.RankingEvaluation(reader, session="session", metrics=["auc"])
    y, score, weight = exact.collect(model)["good"]
    np.testing.assert_array_equal(y, LABELS)
    np.testing.assert_array_equal(weight, SEEN)
    expected = kr.metrics.auc(LABELS, score, SEEN)
    assert exact.evaluate(model) == {"val_good_auc": pytest.approx(expected)}


@pytest.mark.once
def test_refusals(model):
    with pytest.raises(ValueError, match=r"y=None, and rows without \['rating'\]"):
        model.evaluate({"age": LOG["age"]}, verbose=0)
    with pytest.raises(ValueError, match=r"Task 'good' with the rule 'rating >= 4' cannot compare"):
        model.evaluate({**LOG, "rating": ["5"] * 8}, verbose=0)
    with pytest.raises(ValueError, match=r"exactly the tasks \['good'\]"):
        model.evaluate(LOG, {"rating": LOG["rating"]}, verbose=0)
    strict = network(kr.Task("good", when="rating >= 4"))
    with pytest.raises(
        ValueError, match=r"rating=None, row 6 of the given rows. Declare `nulls='mask'`"
    ):
        strict.fit(LOG, verbose=0)
    with pytest.raises(ValueError, match=r"given: a float of nan|labels outside|null, NaN and inf"):
        strict.fit(LOG, {"good": [float("nan"), *LABELS[1:].tolist()]}, verbose=0)
    leak = network(kr.Task("old", when="age >= 0"))
    with pytest.raises(ValueError, match=r"\['age'\] state the label of task 'old'"):
        leak.fit(LOG, verbose=0)
    assert np.isfinite(loss(leak, LOG, {"old": LABELS}))  # what is given is no column


@pytest.mark.once
def test_the_rule_is_saved_and_is_part_of_the_identity(model, tmp_path):
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.tasks == (TASK,)
    np.testing.assert_allclose(loss(again, LOG), loss(model, LOG), rtol=1e-6)
    other = network(kr.Task("good", when="rating >= 3", nulls="mask"))
    assert model_identity(other) != model_identity(model) == model_identity(again)
