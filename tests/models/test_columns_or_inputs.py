"""Columns of a log and model inputs are never taken for each other, whatever call gets them."""

import keras
import numpy as np
import pyarrow as pa
import pytest

import kranking as kr
from kranking.features import as_model_inputs

ROWS = 40
IDS = 100 + np.arange(ROWS) % 10
LOG = {
    "user": IDS,
    "item": np.arange(ROWS) % 7,
    "age": np.arange(ROWS) % 50,
    "save": (IDS % 2).astype("float32"),
}
Y = {"save": LOG["save"]}


@pytest.fixture(scope="module")
def model():
    features = kr.features.fit(
        [
            kr.features.Categorical("user", embedding_dim=4),
            kr.features.Categorical("item", hash_buckets=5, embedding_dim=4),
            kr.features.Numeric("age"),
        ],
        LOG,
    )
    model = kr.RankingModel(features, [kr.layers.MLP([4])], [kr.Task("save")])
    model.compile(keras.optimizers.SGD(0.0), weighted_metrics=None)
    return model


@pytest.fixture(scope="module")
def expected(model):
    return model.predict(model.preprocess(LOG), verbose=0)["save"]


ROWS_OF_THE_LOG = {
    "dict": LOG,
    "lists": {name: column.tolist() for name, column in LOG.items()},
    "batch": pa.RecordBatch.from_pydict(LOG),
    "arrow": pa.table(LOG),
    "list of dicts": pa.table(LOG).to_pylist(),
}


@pytest.mark.parametrize("kind", ROWS_OF_THE_LOG)
def test_rows_of_a_log_are_encoded(model, expected, kind):
    rows = ROWS_OF_THE_LOG[kind]
    for call in (lambda: model.predict(rows, verbose=0), lambda: model.predict_on_batch(rows)):
        np.testing.assert_allclose(call()["save"], expected, rtol=1e-6)
    logits = keras.ops.convert_to_numpy(model(rows)["save"])
    np.testing.assert_allclose(1 / (1 + np.exp(-logits)), expected, rtol=1e-5)


def test_training_and_evaluation_encode_too(model):
    x, table = model.preprocess(LOG), pa.table(LOG)
    right = model.test_on_batch(x, Y, return_dict=True)["loss"]
    for loss in (
        model.test_on_batch(LOG, Y, return_dict=True)["loss"],
        model.train_on_batch(LOG, Y, return_dict=True)["loss"],
        model.evaluate(table, verbose=0, return_dict=True)["loss"],  # the labels are in the columns
        model.fit(pa.table(LOG), Y, verbose=0, batch_size=ROWS).history["loss"][0],
        model.fit(x, Y, validation_data=(LOG, Y), verbose=0).history["val_loss"][0],
        model.fit(x, Y, validation_data=table, verbose=0).history["val_loss"][0],
    ):
        assert loss == pytest.approx(right, rel=1e-5)


def test_slices_and_joins_of_inputs_remain_inputs(model, expected):
    x = model.preprocess(LOG)
    halves = [
        {name: values[part] for name, values in x.items()} for part in (slice(20), slice(20, 40))
    ]
    joined = {name: np.concatenate([half[name] for half in halves]) for name in x}
    np.testing.assert_allclose(model.predict(joined, verbose=0)["save"], expected, rtol=1e-6)
    bare = {name: np.array(values) for name, values in x.items()}
    stored = as_model_inputs(bare)
    np.testing.assert_allclose(model.predict(stored, verbose=0)["save"], expected, rtol=1e-6)
    tensors = {name: keras.ops.convert_to_tensor(values) for name, values in x.items()}
    np.testing.assert_allclose(model.predict(tensors, verbose=0)["save"], expected, rtol=1e-6)


def test_what_could_be_both_is_refused_by_every_call(model):
    x = model.preprocess(LOG)
    bare = {name: np.array(values) for name, values in x.items()}  # without the mark
    raw = {"user": IDS.astype("int32"), "item": bare["item"], "age": LOG["age"].astype("float32")}
    calls = (
        model,
        lambda rows: model.predict(rows, verbose=0),
        model.predict_on_batch,
        lambda rows: model.fit(rows, Y, verbose=0),
        lambda rows: model.evaluate(rows, Y, verbose=0),
        lambda rows: model.train_on_batch(rows, Y),
        lambda rows: model.test_on_batch(rows, Y),
        lambda rows: model.fit(x, Y, validation_data=(rows, Y), verbose=0),
    )
    for call in calls:
        for rows in (bare, raw):
            with pytest.raises(ValueError, match=r"have the dtypes of both.*as_model_inputs"):
                call(rows)


def test_integers_of_a_table_of_words_are_inputs():
    word = kr.features.Categorical("word", vocabulary=("a", "b"), embedding_dim=2)
    model = kr.RankingModel([word], [], [kr.Task("save")])
    logits = model({"word": np.array([1, 2], "int32")})["save"]
    marked = model(model.preprocess({"word": ["a", "b"]}))["save"]
    np.testing.assert_array_equal(*map(keras.ops.convert_to_numpy, (logits, marked)))


@pytest.mark.parametrize("dtype", ["int32", "float32"])
def test_seconds_are_no_parts_and_no_ages(dtype):
    """Seconds since 1970 in the dtype of an input, in a column that is called like the feature."""
    if dtype == "int32":
        part = kr.features.TimePart("t", "hour", unit="s", zoned=True)
        feature = kr.features.Categorical("t", column=part, embedding_dim=2)
    else:
        age = kr.features.Age("t", at="now", unit="s", zoned=True)
        feature = kr.features.Numeric("t", column=age, transform="none")
    model = kr.RankingModel([feature], [], [kr.Task("save")])
    rows = {"t": np.array([7, 8], dtype), "now": np.array([9, 9])}
    with pytest.raises(ValueError, match=r"have the dtypes of both.*as_model_inputs"):
        model(rows)
    logits = model({name: values.astype("int64") for name, values in rows.items()})["save"]
    marked = model(model.preprocess({name: values.tolist() for name, values in rows.items()}))[
        "save"
    ]
    np.testing.assert_array_equal(*map(keras.ops.convert_to_numpy, (logits, marked)))


class Batches(keras.utils.PyDataset):
    def __init__(self, x, y, **kwargs):
        super().__init__(**kwargs)
        self.x, self.y = x, y

    def __len__(self):
        return 2

    def __getitem__(self, index):
        part = slice(20 * index, 20 * index + 20)
        return tuple({n: v[part] for n, v in values.items()} for values in (self.x, self.y))


def loader(x, y):
    data = pytest.importorskip("torch").utils.data
    rows = [tuple({n: v[i] for n, v in part.items()} for part in (x, y)) for i in range(ROWS)]
    return data.DataLoader(rows, batch_size=20)


def stream(x, y):
    batches = Batches(x, y)
    return (batches[i] for i in range(2))


@pytest.mark.filterwarnings("ignore:Your input ran out of data", "ignore:`shuffle=True` was passed")
@pytest.mark.parametrize("dataset", [Batches, stream, loader])
def test_batches_of_datasets_are_encoded_or_refused(model, dataset):
    x = model.preprocess(LOG)
    right = model.evaluate(x, Y, verbose=0, return_dict=True)["loss"]
    loss = model.evaluate(dataset(x, Y), verbose=0, return_dict=True)["loss"]
    assert loss == pytest.approx(right, rel=1e-5)
    raw = {name: LOG[name] for name in x}
    if dataset is loader:  # which makes tensors
        with pytest.raises(ValueError, match=r"must have dtype int32. Received: int64"):
            model.evaluate(dataset(raw, Y), verbose=0)
    else:
        loss = model.evaluate(dataset(raw, Y), verbose=0, return_dict=True)["loss"]
        assert loss == pytest.approx(right, rel=1e-5)
    for data in (x, raw):
        with pytest.raises(ValueError, match=r"labels outside \[0, 1\]|must have dtype int32"):
            model.fit(dataset(data, {"save": Y["save"] + 1}), verbose=0)


def test_datasets_of_tensors_hold_inputs(model):
    tf = pytest.importorskip("tensorflow")
    x = model.preprocess(LOG)
    right = model.evaluate(x, Y, verbose=0, return_dict=True)["loss"]

    def batches(x):
        return tf.data.Dataset.from_tensor_slices((dict(x), Y)).batch(20)

    loss = model.evaluate(batches(x), verbose=0, return_dict=True)["loss"]
    assert loss == pytest.approx(right, rel=1e-5)
    for call in (model.fit, model.evaluate, model.predict):
        with pytest.raises(ValueError, match=r"'user' must have dtype int32. Received: int64"):
            call(batches({name: LOG[name] for name in x}), verbose=0)
