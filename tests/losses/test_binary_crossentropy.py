import keras
import numpy as np
import pytest

from kranking.losses import BinaryCrossentropy


def oracle(y, z):
    """`softplus(z) - y z` in float64, split by class to keep the digits of both."""
    y, z = np.reshape(y, -1), np.asarray(z, np.float64).reshape(-1)
    return y * np.logaddexp(0, -z) + (1 - y) * np.logaddexp(0, z)


Z = np.array([[-300.0], [-40.0], [-1e-3], [0.0], [3.0], [17.0], [40.0], [300.0]], "float32")


@pytest.mark.parametrize("label", [0.0, 1.0, 0.3])
@pytest.mark.parametrize("shape", [(8,), (8, 1)], ids=str)
def test_saturated_logits_keep_their_loss(label, shape):
    y = np.full(shape, label, "float32")
    losses = keras.ops.convert_to_numpy(BinaryCrossentropy(reduction=None)(y, Z))
    # torch forms `1 + exp(-|z|)`: losses below its last digit, 1e-7, come out as 0 there.
    np.testing.assert_allclose(losses.reshape(-1), oracle(y, Z), rtol=1e-6, atol=1.2e-7)


def test_gradient_of_saturated_logits():
    """One step of plain descent moves a logit by `sigmoid(z) - y`, which must not vanish."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    for z, y in [(60.0, 0.0), (-60.0, 1.0), (60.0, 1.0), (0.0, 1.0)]:
        model.compile(keras.optimizers.SGD(1.0), BinaryCrossentropy())
        model.layers[-1].set_weights([np.array([[z]], "float32")])
        model.fit(np.ones((1, 1)), np.array([y]), verbose=0)
        moved = z - float(model.layers[-1].get_weights()[0][0, 0])
        np.testing.assert_allclose(moved, 1 / (1 + np.exp(-z)) - y, atol=1e-5)


@pytest.mark.parametrize("shape", [(8,), (8, 1)], ids=str)
def test_sample_weights_mask(shape):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, shape).astype("float32")
    w = np.array([0, 2, 0, 1, 1, 0, 3, 0], "float32")
    expected = np.sum(w * oracle(y, Z))
    value = BinaryCrossentropy()(y, Z, sample_weight=w)
    np.testing.assert_allclose(value, expected / len(w), rtol=1e-6)
    by_weight = BinaryCrossentropy(reduction="mean_with_sample_weight")(y, Z, sample_weight=w)
    np.testing.assert_allclose(by_weight, expected / np.sum(w), rtol=1e-6)


def test_masked_label_may_be_any_number():
    w = np.array([1.0, 0.0], "float32")
    z = np.array([[1.0], [2.0]], "float32")
    losses = [
        float(BinaryCrossentropy()(np.array([1.0, label], "float32"), z, sample_weight=w))
        for label in (0.0, 1.0, -7.0)
    ]
    assert losses == [losses[0]] * 3


def test_label_smoothing():
    y = np.array([1.0, 0.0], "float32")
    z = np.array([[1.0], [2.0]], "float32")
    value = BinaryCrossentropy(label_smoothing=0.2)(y, z)
    np.testing.assert_allclose(value, oracle([0.9, 0.1], z).mean(), rtol=1e-6)


def test_config_round_trip():
    loss = BinaryCrossentropy(label_smoothing=0.1, reduction="sum", name="own")
    text = keras.saving.serialize_keras_object(loss)
    assert text["registered_name"] == "kranking>BinaryCrossentropy"
    copy = keras.saving.deserialize_keras_object(text)
    assert copy.get_config() == loss.get_config()
    y, z = np.array([1.0, 0.0], "float32"), np.array([[1.0], [2.0]], "float32")
    assert float(copy(y, z)) == float(loss(y, z))
