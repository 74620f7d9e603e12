"""Optimizers of tables against NumPy, on every backend; ids repeat, and some rows are never reached."""

import keras
import numpy as np
import pytest

import kranking as kr
from kranking.optimizers import LazyAdam, RowWiseAdagrad, Split, _summed_slices

ROWS, WIDTH, STEPS, RATE = 7, 4, 4, 0.05
rng = np.random.default_rng(0)
TABLE = rng.normal(size=(ROWS, WIDTH)).astype("float32")
KERNEL = rng.normal(size=(WIDTH, 3)).astype("float32")
# Row 6 is never reached, row 5 in the first step only.
IDS = np.array([[1, 4, 1, 5], [2, 2, 2, 1], [0, 3, 3, 4], [1, 1, 1, 1]], "int32")
VALUES = rng.normal(size=(STEPS, 4, WIDTH)).astype("float32")
OTHER = rng.normal(size=(STEPS, WIDTH, 3)).astype("float32")


@pytest.fixture(autouse=True, params=["slices", "dense"])
def gradients(request, monkeypatch):
    """Tables count as large, or as small, whose gradients are dense on TensorFlow too."""
    if request.param == "dense" and keras.backend.backend() != "tensorflow":
        pytest.skip("gradients of tables are dense on this backend")
    monkeypatch.setattr(_summed_slices, "SMALL_TABLE", 0 if request.param == "slices" else 100)


def summed(step):
    dense = np.zeros((ROWS, WIDTH), "float32")
    np.add.at(dense, IDS[step], VALUES[step])
    return dense


def gradient(step):
    if keras.backend.backend() != "tensorflow":
        return keras.ops.convert_to_tensor(summed(step))
    import tensorflow as tf

    shape = tf.constant([ROWS, WIDTH])
    return tf.IndexedSlices(tf.constant(VALUES[step]), tf.constant(IDS[step]), shape)


def train(optimizer):
    """Returns table and kernel after each step."""
    table = kr.ops.embedding_table(keras.Variable(TABLE, name="table"))
    kernel = keras.Variable(KERNEL, name="kernel")
    optimizer = kr.optimizers.sum_repeated_ids(optimizer)
    optimizer.build([table, kernel])
    for step in range(STEPS):
        other = keras.ops.convert_to_tensor(OTHER[step])
        optimizer.apply([gradient(step), other], [table, kernel])
    return [np.array(keras.ops.convert_to_numpy(v.value)) for v in (table, kernel)]


def adam(weights, gradients, lazy):
    m, v = np.zeros_like(weights), np.zeros_like(weights)
    for t, g in enumerate(gradients, start=1):
        rows = (g != 0).any(axis=1) if lazy else slice(None)
        m[rows] = 0.9 * m[rows] + 0.1 * g[rows]
        v[rows] = 0.999 * v[rows] + 0.001 * g[rows] ** 2
        rate = RATE * np.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        weights[rows] -= rate * m[rows] / (np.sqrt(v[rows]) + 1e-7)
    return weights


def adagrad(weights, gradients, by_row):
    a = np.full((len(weights), 1 if by_row else weights.shape[1]), 0.1)
    for g in gradients:
        a += (g**2).mean(axis=1, keepdims=True) if by_row else g**2
        weights -= RATE * g / np.sqrt(a + 1e-7)
    return weights


def of_tables():
    return [summed(step).astype("float64") for step in range(STEPS)]


def test_lazy_adam():
    table, kernel = train(LazyAdam(RATE))
    np.testing.assert_allclose(table, adam(TABLE.astype("float64"), of_tables(), True), atol=1e-5)
    np.testing.assert_allclose(kernel, adam(KERNEL.astype("float64"), OTHER, False), atol=1e-5)
    np.testing.assert_array_equal(table[6], TABLE[6])
    eager = adam(TABLE.astype("float64"), of_tables(), False)
    assert np.abs(table[5] - eager[5]).max() > 1e-2  # Adam moves it in the later steps too


def test_row_wise_adagrad():
    table, kernel = train(RowWiseAdagrad(RATE))
    expected = adagrad(TABLE.astype("float64"), of_tables(), True)
    np.testing.assert_allclose(table, expected, atol=1e-5)
    np.testing.assert_allclose(kernel, adagrad(KERNEL.astype("float64"), OTHER, False), atol=1e-5)


def test_a_row_has_one_accumulator():
    optimizer = RowWiseAdagrad()
    optimizer.build([kr.ops.embedding_table(keras.Variable(TABLE)), keras.Variable(KERNEL)])
    assert [tuple(a.shape) for a in optimizer._accumulators] == [(ROWS, 1), (WIDTH, 3)]


def test_split_trains_each_part_by_its_optimizer():
    table, kernel = train(Split(RowWiseAdagrad(RATE), keras.optimizers.Adam(RATE)))
    expected = adagrad(TABLE.astype("float64"), of_tables(), True)
    np.testing.assert_allclose(table, expected, atol=1e-5)
    np.testing.assert_allclose(kernel, adam(KERNEL.astype("float64"), OTHER, False), atol=1e-5)


def test_split_clips_all_gradients_by_their_common_norm():
    sgd = keras.optimizers.SGD
    table, kernel = train(Split(sgd(RATE), sgd(2 * RATE), global_clipnorm=0.7))
    expected = [TABLE.astype("float64"), KERNEL.astype("float64")]
    for step in range(STEPS):
        both = [summed(step).astype("float64"), OTHER[step].astype("float64")]
        scale = min(1, 0.7 / np.sqrt(sum((g**2).sum() for g in both)))
        for weights, g, rate in zip(expected, both, (RATE, 2 * RATE), strict=True):
            weights -= rate * scale * g
    np.testing.assert_allclose(table, expected[0], atol=1e-6)
    np.testing.assert_allclose(kernel, expected[1], atol=1e-6)


@pytest.mark.parametrize(
    "make",
    [
        lambda: LazyAdam(RATE, beta_1=0.8, clipnorm=1.0),
        lambda: RowWiseAdagrad(RATE, initial_accumulator_value=0.2),
        lambda: Split(LazyAdam(RATE), keras.optimizers.SGD(0.1, momentum=0.9), clipvalue=1.0),
    ],
)
def test_config(make):
    config = keras.optimizers.serialize(make())
    again = keras.optimizers.deserialize(config)
    assert keras.optimizers.serialize(again) == config
    for one, other in zip(train(make()), train(again), strict=True):
        np.testing.assert_array_equal(one, other)


def test_split_rejects():
    with pytest.raises(
        ValueError, match=r"`tables` must be an object of keras.optimizers or its name.*tables=None"
    ):
        Split(None, "adam")
    with pytest.raises(ValueError, match=r"has no `weight_decay`\. Pass it to the optimizers"):
        Split("sgd", "adam", weight_decay=0.1)
    with pytest.raises(ValueError, match=r"no embedding table among the variables.*\['kernel'\]"):
        Split("sgd", "adam").build([keras.Variable(KERNEL, name="kernel")])
    with pytest.raises(ValueError, match="`LazyAdam` has no `amsgrad`"):
        LazyAdam(amsgrad=True)
