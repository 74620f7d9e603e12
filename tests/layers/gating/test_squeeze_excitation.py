import keras
import numpy as np
import pytest
from keras import ops

from kranking.layers import SqueezeExcitation
from kranking.testing import check_layer

ACTIVATIONS = {
    "relu": lambda x: np.maximum(x, 0),
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
}


def oracle(x, weights, config):
    """The paper's three steps for one row after the other: squeeze, excitation, re-weighting."""
    inner = ACTIVATIONS[config.get("activation", "relu")]
    outer = ACTIVATIONS[config.get("gate_activation", "relu")]
    rows = []
    for fields in x:
        z = np.array([sum(field) / len(field) for field in fields])
        gates = outer(weights["excitation/kernel"].T @ inner(weights["reduction/kernel"].T @ z))
        rows.append([gate * field for gate, field in zip(gates, fields, strict=True)])
    return np.array(rows)


@pytest.mark.parametrize(
    ("config", "shape"),
    [
        ({}, (5, 6, 4)),
        ({"reduction_ratio": 2, "gate_activation": "sigmoid"}, (4, 5, 3)),
        ({"reduction_ratio": 1.5, "activation": "tanh"}, (4, 4, 2)),
    ],
    ids=str,
)
def test_contract(config, shape):
    check_layer(SqueezeExcitation, config, shape, oracle)


@pytest.mark.parametrize(
    ("tokens", "ratio", "reduced"), [(6, 3, 2), (10, 3, 3), (39, 3, 13), (2, 3, 1), (10, 2.5, 4)]
)
def test_cost(tokens, ratio, reduced):
    work = SqueezeExcitation(ratio).work((None, tokens, 16))
    assert work.parameters == 2 * tokens * reduced
    assert work.matmul_flops == 4 * tokens * reduced


def normal(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype("float32")


def values(layer, x):
    return ops.convert_to_numpy(layer(x))


def test_gates_are_proportional_to_the_fields():
    """ReLU without a bias: fields times 3 have gates times 3, thus an output times 9."""
    x = normal(8, 6, 4)
    layer = SqueezeExcitation(kernel_initializer=keras.initializers.GlorotUniform(seed=1))
    outputs = values(layer, x)
    assert np.abs(outputs).max() > 0.1
    np.testing.assert_allclose(values(layer, 3 * x), 9 * outputs, rtol=1e-4, atol=1e-5)


def test_a_gate_depends_on_means_alone():
    """Adding values that sum to 0 within a field leaves its mean, and so every gate."""
    x = normal(8, 6, 4)
    layer = SqueezeExcitation(gate_activation="sigmoid")
    same_mean, moved = x.copy(), x.copy()
    same_mean[:, 2] += [5.0, -1.0, -2.0, -2.0]
    moved[:, 2] += 1.0
    outputs = values(layer, x)
    np.testing.assert_allclose(values(layer, same_mean)[:, 3], outputs[:, 3], rtol=1e-4, atol=1e-5)
    assert np.abs(values(layer, moved)[:, 3] - outputs[:, 3]).max() > 1e-3


def test_kernels_of_zero_halve_the_fields_with_sigmoid_and_remove_them_with_relu():
    x = normal(3, 4, 2)
    half = SqueezeExcitation(gate_activation="sigmoid", kernel_initializer="zeros")
    np.testing.assert_allclose(values(half, x), x / 2, rtol=1e-6)
    np.testing.assert_array_equal(values(SqueezeExcitation(kernel_initializer="zeros"), x), 0 * x)


def test_the_mean_stays_in_range_under_half_precision():
    """100 channels of 3,000 sum to 300,000; the gates are σ(0), which halve them."""
    x = np.full((2, 3, 100), 3e3, "float32")
    layer = SqueezeExcitation(gate_activation="sigmoid", dtype="mixed_float16")
    layer.build((None, 3, 100))
    for weight in layer.weights:
        weight.assign(np.zeros(weight.shape, "float32"))
    outputs = ops.convert_to_numpy(ops.cast(layer(x), "float32"))
    np.testing.assert_allclose(outputs, x / 2, rtol=1e-3)


@pytest.mark.parametrize("value", [0.5, "3", None, float("nan")])
def test_rejects_a_wrong_ratio(value):
    with pytest.raises(
        ValueError, match=r"`reduction_ratio` must be a .*Received: reduction_ratio="
    ):
        SqueezeExcitation(value)


def test_rejects_flat_input():
    with pytest.raises(ValueError, match=r"shape \(batch, tokens, dim\)"):
        SqueezeExcitation().build((None, 6))
