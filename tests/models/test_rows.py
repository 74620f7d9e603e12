"""Rows given as arrays: the first mistakes of a user get an answer, the same on every backend."""

import keras
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import kranking as kr

FEATURES = [
    kr.features.Categorical("country", vocabulary=("DE", "FR"), embedding_dim=4),
    kr.features.Numeric("age", mean=0.0, std=1.0),
]
COLUMNS = {"country": ["DE", "FR", None, "DE"], "age": [0.0, 1.0, 2.0, 3.0]}
Y = {"save": np.array([0.0, 1.0, 0.0, 1.0]), "hide": np.array([0.0, 0.0, 1.0, 1.0])}


@pytest.fixture
def model():
    model = kr.RankingModel(FEATURES, [kr.layers.MLP([4])], [kr.Task("save"), kr.Task("hide")])
    model.compile()
    return model


def test_ids_must_be_rows_of_the_table(model):
    x = {**model.preprocess(COLUMNS), "country": np.array([7, 1, 2, 0])}
    with pytest.raises(
        ValueError, match=r"'country' must have dtype int32. Received: int64.*preprocess"
    ):
        model.predict(x, verbose=0)


@pytest.mark.parametrize(
    "method", ["fit", "evaluate", "predict", "train_on_batch", "test_on_batch"]
)
def test_no_rows_are_refused(model, method):
    arguments = () if method == "predict" else ({"save": [], "hide": []},)
    with pytest.raises(ValueError, match=r"`x` must have at least one row. Received: 0 rows"):
        getattr(model, method)({"country": pa.array([], "string"), "age": []}, *arguments)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_must_be_finite(model, value):
    x = {**model.preprocess(COLUMNS), "age": np.array([0.0, 1.0, value, 2.0], "float32")}
    for method in (model.predict, model.evaluate, model.fit):
        arguments = () if method == model.predict else (Y,)
        with pytest.raises(
            ValueError, match=f"Input 'age' must not contain NaN or infinity.*{value} in row 2"
        ):
            method(x, *arguments, verbose=0)


def test_labels_must_be_finite_and_of_every_task(model):
    x = model.preprocess(COLUMNS)
    with pytest.raises(
        ValueError, match=r"dict with exactly the tasks \['save', 'hide'\].*\['save'\]"
    ):
        model.fit(x, {"save": Y["save"]}, verbose=0)
    bad = {**Y, "hide": np.array([0.0, np.nan, 0.0, 1.0])}
    with pytest.raises(ValueError, match=r"Task 'hide' does not accept null, NaN.*row 1"):
        model.fit(x, bad, verbose=0)
    assert np.isfinite(model.fit(x, Y, verbose=0).history["loss"][0])


def test_a_label_is_no_feature(tmp_path):
    pq.write_table(pa.table({**COLUMNS, **Y}), tmp_path / "log.parquet")
    model = kr.RankingModel(FEATURES, [], [kr.Task("old", label="age")])
    with pytest.raises(
        ValueError, match="'age' is the label of task 'old' and must not be a feature"
    ):
        kr.data.read_parquet(tmp_path, model)


def test_shuffled_rows_are_not_predicted(model, tmp_path):
    pq.write_table(pa.table({**COLUMNS, **Y}), tmp_path / "log.parquet")
    reader = kr.data.read_parquet(tmp_path, model, shuffle=True)
    with pytest.raises(ValueError, match="a reader with shuffle=True"):
        model.predict(reader, verbose=0)
    with pytest.raises(ValueError, match="a reader without shuffling"):
        kr.training.RankingEvaluation(reader, np.zeros(4))


def test_an_error_before_the_first_step_leaves_the_model_whole(model):
    """On JAX, Keras moves the weights out of the model before it asks for the first batch."""
    x = model.preprocess(COLUMNS)
    model.fit(x, Y, verbose=0)
    before = model.predict(x, verbose=0)

    class Broken(keras.utils.PyDataset):
        def __len__(self):
            return 1

        def __getitem__(self, index):
            raise OSError("the disk is gone")

    for method in (model.fit, model.evaluate, model.predict):
        with pytest.raises(Exception, match="the disk is gone"):
            method(Broken(), verbose=0)
        after = model.predict(x, verbose=0)
        np.testing.assert_array_equal(after["save"], before["save"])


def test_logits_keep_their_digits_under_mixed_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        cover = kr.features.Embedding("cover", dim=8)
        model = kr.RankingModel([cover], [kr.layers.MLP([16])], [kr.Task("save")])
    finally:
        keras.config.set_dtype_policy("float32")
    vectors = np.random.default_rng(0).normal(size=(2000, 8)).astype("float32")
    logits = model({"cover": vectors})["save"]
    assert keras.backend.standardize_dtype(logits.dtype) == "float32"
    # A bfloat16 logit has 8 bits: a few hundred values would share 2,000 rows, and rank them by chance.
    assert len(np.unique(keras.ops.convert_to_numpy(logits))) > 1950
