import keras
import numpy as np
import pytest

from kranking.layers import FieldNormalization
from kranking.testing import check_layer


def normalize(x, epsilon=1e-5):
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + epsilon)


def oracle(x, weights, config):
    fields = np.split(x, np.cumsum(config["field_dims"])[:-1], axis=-1)
    joined = np.concatenate([f if f.shape[1] == 1 else normalize(f) for f in fields], axis=-1)
    return joined * weights["gamma"] + weights["beta"]


@pytest.mark.parametrize("dims", [(6,), (2, 2, 2), (1, 3, 1, 1), (4, 4, 1, 2, 2, 3)], ids=str)
def test_contract(dims):
    check_layer(FieldNormalization, {"field_dims": dims}, (5, sum(dims)), oracle)


def test_equal_widths_equal_keras_on_fields():
    x = np.random.default_rng(0).standard_normal((4, 12)).astype("float32")
    wanted = keras.layers.LayerNormalization(epsilon=1e-5)(x.reshape(4, 3, 4))
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(FieldNormalization(field_dims=(4, 4, 4))(x)),
        keras.ops.convert_to_numpy(wanted).reshape(4, 12),
        rtol=1e-5,
        atol=1e-5,
    )


def test_a_scalar_field_survives():
    x = np.array([[1.0, 2.0, 50.0], [1.0, 2.0, -7.0]], "float32")
    outputs = keras.ops.convert_to_numpy(FieldNormalization(field_dims=(2, 1))(x))
    np.testing.assert_array_equal(outputs[:, 2], [50.0, -7.0])


@pytest.mark.parametrize("width", [3, 8, 31])
def test_cost(width):
    work = FieldNormalization(field_dims=(width,)).work((None, width))
    assert (work.parameters, work.matmul_flops) == (2 * width, 0)


@pytest.mark.parametrize(
    ("dims", "message"),
    [
        (None, r"needs `field_dims`.*`ln_emb='whole'`.*Received: field_dims=None"),
        ((2, 3), r"must sum to the input's width, 6. Received: field_dims=\(2, 3\), .* 5"),
    ],
)
def test_rejects_widths_that_do_not_fit(dims, message):
    with pytest.raises(ValueError, match=message):
        FieldNormalization(field_dims=dims).build((None, 6))


@pytest.mark.parametrize("dims", [(), (2, 0), (2.0,), "22", 4])
def test_rejects_widths_that_are_none(dims):
    with pytest.raises(ValueError, match=r"`field_dims` must be a list of positive integers"):
        FieldNormalization(field_dims=dims)
