"""On TensorFlow, slices of equal ids reach Keras's optimizers as their sum: as a dense gradient does."""

import keras
import numpy as np
import pytest

import kranking as kr
from kranking.optimizers import _summed_slices, sum_repeated_ids

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="other backends have dense gradients"
)
k = keras.optimizers
OPTIMIZERS = {
    "SGD": lambda **o: k.SGD(0.05, **o),
    "momentum": lambda **o: k.SGD(0.05, momentum=0.9, **o),
    "nesterov": lambda **o: k.SGD(0.05, momentum=0.9, nesterov=True, **o),
    "Adam": lambda **o: k.Adam(0.05, **o),
    "amsgrad": lambda **o: k.Adam(0.05, amsgrad=True, **o),
    "AdamW": lambda **o: k.AdamW(0.05, **o),
    "RMSprop": lambda **o: k.RMSprop(0.05, **o),
    "centered": lambda **o: k.RMSprop(0.05, momentum=0.9, centered=True, **o),
    "Adagrad": lambda **o: k.Adagrad(0.05, **o),
    "Adadelta": lambda **o: k.Adadelta(5.0, **o),
    "Adamax": lambda **o: k.Adamax(0.05, **o),
    "Nadam": lambda **o: k.Nadam(0.05, **o),
    "Ftrl": lambda **o: k.Ftrl(0.05, **o),
    "Lion": lambda **o: k.Lion(0.05, **o),
    "Lamb": lambda **o: k.Lamb(0.05, **o),
    "Adafactor": lambda **o: k.Adafactor(0.05, **o),
    "Muon": lambda **o: k.Muon(0.05, **o),
    "Muon of tables": lambda **o: k.Muon(0.05, exclude_embeddings=False, **o),
}
OPTIONS = {
    "plain": {},
    "clipnorm": {"clipnorm": 0.5},
    "global_clipnorm": {"global_clipnorm": 0.5},
    "clipvalue": {"clipvalue": 0.2},
    "accumulation": {"gradient_accumulation_steps": 2},
    "average": {"use_ema": True, "ema_overwrite_frequency": 2, "weight_decay": 0.01},
    "loss scale": {"loss_scale_factor": 8.0},
}
ROWS, WIDTH, STEPS = 6, 4, 3
rng = np.random.default_rng(0)
TABLE = rng.normal(size=(ROWS, WIDTH)).astype("float32")
KERNEL = rng.normal(size=(WIDTH, 3)).astype("float32")
IDS = np.array([[1, 4, 1, 1, 5, 4, 0, 1], [2, 2, 2, 2, 4, 4, 4, 1]] * 2, "int32")
VALUES = rng.normal(size=(STEPS, 8, WIDTH)).astype("float32")
OTHER = rng.normal(size=(STEPS, WIDTH, 3)).astype("float32")


@pytest.fixture(autouse=True)
def large_table(monkeypatch):
    """Every table counts as large."""
    monkeypatch.setattr(_summed_slices, "SMALL_TABLE", 0)
    monkeypatch.setattr(_summed_slices, "SMALL_TABLE_OF_XLA", 0)


def slices(step, part=slice(None)):
    import tensorflow as tf

    shape = tf.constant([ROWS, WIDTH])
    return tf.IndexedSlices(tf.constant(VALUES[step, part]), tf.constant(IDS[step, part]), shape)


def dense(step):
    total = np.zeros_like(TABLE)
    np.add.at(total, IDS[step], VALUES[step])
    return keras.ops.convert_to_tensor(total)


def variables():
    return [keras.Variable(TABLE, name="table"), keras.Variable(KERNEL, name="kernel")]


def trained(optimizer, gradient):
    weights = variables()
    for step in range(STEPS):
        optimizer.apply([gradient(step), keras.ops.convert_to_tensor(OTHER[step])], weights)
    return [weight.numpy() for weight in weights]


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_equal_to_a_dense_gradient(name, options):
    make = OPTIMIZERS[name]
    expected = trained(make(**OPTIONS[options]), dense)
    got = trained(sum_repeated_ids(make(**OPTIONS[options])), slices)
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-6)
    assert np.abs(expected[0] - TABLE).max() > 1e-3


def test_slices_are_summed_per_id():
    import tensorflow as tf

    summed = _summed_slices.summed_slices(slices(0))
    assert sorted(summed.indices.numpy()) == [0, 1, 4, 5]
    np.testing.assert_allclose(tf.convert_to_tensor(summed), dense(0), atol=1e-6)
    # Of static shape: XLA drops the indices after the last row, here they show.
    summed = _summed_slices.summed_slices(slices(0), static_shape=True)
    assert summed.indices.numpy().tolist() == [0, 1, 4, 5, 6, 6, 6, 6]
    np.testing.assert_array_equal(summed.values[4:], 0)
    np.testing.assert_allclose(summed.values[:4], dense(0).numpy()[[0, 1, 4, 5]], atol=1e-6)
    assert _summed_slices.summed_slices(None) is None


@pytest.mark.parametrize("static_shape", [False, True])
def test_a_small_table_has_a_dense_gradient(monkeypatch, static_shape):
    name = "SMALL_TABLE_OF_XLA" if static_shape else "SMALL_TABLE"
    monkeypatch.setattr(_summed_slices, name, ROWS)
    summed = _summed_slices.summed_slices(slices(0), static_shape)
    np.testing.assert_allclose(summed.numpy(), dense(0), atol=1e-6)


@pytest.mark.parametrize("name", ["SGD", "Adam", "Adagrad"])
def test_compiled_by_xla(name):
    import tensorflow as tf

    expected = trained(OPTIMIZERS[name](), dense)
    optimizer = sum_repeated_ids(OPTIMIZERS[name](), jit_compile=True)
    weights = variables()
    optimizer.build(weights)

    @tf.autograph.experimental.do_not_convert
    def step(values, ids, other):
        table = tf.IndexedSlices(values, ids, tf.constant([ROWS, WIDTH]))
        optimizer.apply_gradients(zip([table, other], weights, strict=True))

    compiled = tf.function(step, jit_compile=True)
    for i in range(STEPS):
        compiled(*map(tf.constant, (VALUES[i], IDS[i], OTHER[i])))
    for a, b in zip(weights, expected, strict=True):
        np.testing.assert_allclose(a.numpy(), b, rtol=0, atol=1e-6)


def test_sums_once_when_compiled_again_or_wrapped():
    import tensorflow as tf

    adam = sum_repeated_ids(sum_repeated_ids(OPTIMIZERS["Adam"]()))
    scaled = sum_repeated_ids(k.LossScaleOptimizer(adam, initial_scale=4.0))
    assert "apply" in vars(scaled)
    assert "apply" not in vars(adam)
    weights = variables()
    other = keras.ops.zeros_like(weights[1])
    four = tf.IndexedSlices(4.0 * slices(0).values, slices(0).indices, slices(0).dense_shape)
    scaled.apply([four, other], weights)
    expected = variables()
    OPTIMIZERS["Adam"]().apply([dense(0), other], expected)
    np.testing.assert_allclose(weights[0].numpy(), expected[0].numpy(), atol=1e-6)


ON_REPLICAS = [(name, "plain") for name in OPTIMIZERS] + [
    (name, option)
    for name in ("SGD", "Adam", "Adagrad")
    for option in ("clipnorm", "global_clipnorm", "clipvalue")
]


@pytest.mark.parametrize(("name", "options"), ON_REPLICAS)
def test_two_replicas_equal_one_device(name, options, two_replicas):
    """Each replica has half of the slices; clipping sees the sum of both."""
    import tensorflow as tf

    make = OPTIMIZERS[name]
    expected = trained(make(**OPTIONS[options]), dense)
    with two_replicas.scope():
        weights = variables()
        optimizer = sum_repeated_ids(make(**OPTIONS[options]))
        optimizer.build(weights)

    def step(i):
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        first = tf.equal(replica, 0)
        ids = tf.where(first, IDS[i, :5], tf.concat([IDS[i, 5:], [0, 0]], 0))
        values = tf.where(first, VALUES[i, :5], tf.concat([VALUES[i, 5:], tf.zeros((2, WIDTH))], 0))
        table = tf.IndexedSlices(values, ids, tf.constant([ROWS, WIDTH]))
        optimizer.apply([table, tf.constant(OTHER[i] / 2)], weights)

    for i in range(STEPS):
        two_replicas.run(step, args=(i,))
    for a, b in zip(weights, expected, strict=True):
        np.testing.assert_allclose(a.value.numpy(), b, rtol=0, atol=1e-6)


def test_other_objects_are_returned():
    assert sum_repeated_ids(None) is None
    assert kr.optimizers.sum_repeated_ids("adam") == "adam"
