"""Labels and weights inside datasets of TensorFlow, PyTorch and Keras obey the rules of the readers."""

import keras
import numpy as np
import pytest

import kranking as kr

ROWS = 6
X = {"n": np.linspace(-1, 1, ROWS).astype(np.float32)}
LIKE, SAVE = np.array([0, 1, 1, 0, 1, 0], np.float32), np.array([1, 1, 0, 0, 0, 0], np.float32)
Y = {"save": SAVE, "like": LIKE}  # in the order of the tasks, which is not the alphabetical one
WEIGHT = {"save": np.arange(ROWS, dtype=np.float32), "like": np.ones(ROWS, np.float32)}


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    tasks = [kr.Task("save"), kr.Task("like", nulls="mask")]
    number = kr.features.Numeric("n", transform="none")
    model = kr.RankingModel([number], [kr.layers.MLP([4])], tasks)
    model.compile("sgd", weighted_metrics=None)
    return model


def of_tensorflow(*parts):
    tf = pytest.importorskip("tensorflow")
    return tf.data.Dataset.from_tensor_slices(parts).batch(4)


def of_torch(*parts):
    data = pytest.importorskip("torch").utils.data
    rows = [keras.tree.map_structure(lambda part, i=i: part[i], parts) for i in range(ROWS)]
    return data.DataLoader(rows, batch_size=4)


class Batches(keras.utils.PyDataset):
    def __init__(self, *parts):
        super().__init__()
        self.parts = parts

    def __len__(self):
        return 2

    def __getitem__(self, index):
        return keras.tree.map_structure(lambda v: v[4 * index : 4 * index + 4], self.parts)


def stream(*parts):
    return (Batches(*parts)[i] for i in range(2))


KINDS = [of_tensorflow, of_torch, Batches, stream]
pytestmark = pytest.mark.filterwarnings(
    "ignore:Your input ran out of data", "ignore:`shuffle=True` was passed"
)


@pytest.mark.parametrize("dataset", KINDS)
def test_labels_and_weights_mean_what_they_do_in_arrays(model, dataset):
    def loss(*parts, **options):
        return model.evaluate(*parts, verbose=0, return_dict=True, batch_size=4, **options)["loss"]

    x = kr.features.as_model_inputs(X)
    plain, weighted = loss(x, Y), loss(x, Y, sample_weight=WEIGHT)
    gaps = {**Y, "like": np.where(np.arange(ROWS) < 3, np.nan, LIKE)}
    masked = loss(x, gaps)
    assert len({plain, weighted, masked}) == 3

    def of(*parts):
        return model.evaluate(dataset(*parts), verbose=0, return_dict=True)["loss"]

    assert of(x, Y) == pytest.approx(plain, rel=1e-6)
    assert of(x, Y, WEIGHT) == pytest.approx(weighted, rel=1e-6)
    assert of(x, {n: v[:, None] for n, v in Y.items()}) == pytest.approx(plain, rel=1e-6)
    assert of(x, {n: v.astype(bool) for n, v in Y.items()}) == pytest.approx(plain, rel=1e-6)
    assert of(x, (SAVE, LIKE)) == pytest.approx(plain, rel=1e-6)
    assert of(x, gaps) == pytest.approx(masked, rel=1e-6)


BAD = {
    "above": ((Y | {"save": SAVE * 2},), r"'save' does not accept labels outside \[0, 1\].*2\.0"),
    "below": ((Y | {"like": LIKE - 1},), r"'like' does not accept labels outside \[0, 1\].*-1\.0"),
    "NaN": ((Y | {"save": SAVE * np.nan},), "'save' does not accept null, NaN and infinity"),
    "infinity": ((Y | {"like": LIKE + np.inf},), "'like' does not accept null, NaN and infinity"),
    "negative": ((Y, WEIGHT | {"like": -WEIGHT["like"]}), r"non-negative.*-1\.0 in column 'like'"),
    "weight NaN": ((Y, WEIGHT["save"] * np.nan), "`sample_weight` must be finite"),
    "no task": (({"save": SAVE},), r"exactly the tasks \['save', 'like'\].*Received: \['save'\]"),
}


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("dataset", KINDS)
def test_bad_labels_and_weights_are_refused(model, dataset, bad):
    parts, message = BAD[bad]
    x = kr.features.as_model_inputs(X)
    good = x, Y
    before = [v.copy() for v in model.get_weights()]
    calls = [
        lambda: model.fit(dataset(x, *parts), verbose=0),
        lambda: model.evaluate(dataset(x, *parts), verbose=0),
    ]
    if bad == "above":
        valid = {"validation_data": dataset(x, *parts)}
        calls += [
            lambda: model.fit(*good, batch_size=ROWS, verbose=0, epochs=1, **valid),
            lambda: model.train_on_batch(x, *parts),
            lambda: model.test_on_batch(x, *parts),
            lambda: model.fit({"n": keras.ops.convert_to_tensor(X["n"])}, *parts, verbose=0),
        ]
    for call in calls:
        with pytest.raises(ValueError, match=message) as caught:
            call()
        assert type(caught.value) is ValueError
    if bad != "above":
        assert all(map(np.array_equal, before, model.get_weights()))


@pytest.mark.once
def test_datasets_are_checked_before_they_are_distributed():
    import tensorflow as tf

    with tf.distribute.MirroredStrategy(["cpu:0", "cpu:1"]).scope():
        number = kr.features.Numeric("n", transform="none")
        model = kr.RankingModel([number], [kr.layers.MLP([4])], [kr.Task("save")])
        model.compile("sgd", weighted_metrics=None)
    x = kr.features.as_model_inputs(X)
    expected = model.evaluate(x, {"save": SAVE}, batch_size=2, verbose=0, return_dict=True)["loss"]
    data = tf.data.Dataset.from_tensor_slices((x, {"save": SAVE})).batch(2)
    found = model.evaluate(data, verbose=0, return_dict=True)["loss"]
    assert found == pytest.approx(expected, rel=1e-6)
    with pytest.raises(ValueError, match=r"does not accept labels outside \[0, 1\]"):
        model.fit(data.map(lambda x, y: (x, {"save": 2 * y["save"]})), verbose=0)
