import keras
import numpy as np
import pytest

from kranking.layers import CrossNetwork, VectorCrossNetwork
from kranking.testing import check_layer


def oracle(x, weights, config):
    """Equation 3 of the paper."""
    out = x
    for step in range(config.get("depth", 2)):
        scale = (out * weights[f"kernel_{step}"][:, 0]).sum(-1, keepdims=True)
        out = x * scale + weights[f"bias_{step}"] + out
    return out


@pytest.mark.parametrize(
    ("config", "shape"),
    [({}, (5, 6)), ({"depth": 3, "bias_initializer": "random_normal"}, (5, 3, 6))],
    ids=str,
)
def test_contract(config, shape):
    check_layer(VectorCrossNetwork, config, shape, oracle)


@pytest.mark.parametrize(("depth", "width"), [(1, 3), (3, 8), (4, 31)])
def test_cost(depth, width):
    work = VectorCrossNetwork(depth).work((None, width))
    assert work.parameters == depth * 2 * width
    assert work.matmul_flops == depth * 2 * width


def normal(shape):
    return np.random.default_rng(0).standard_normal(shape).astype("float32")


def test_without_bias_it_is_a_cross_network_with_equal_columns():
    x = normal((4, 5))
    vector, full = VectorCrossNetwork(depth=3), CrossNetwork(depth=3)
    vector(x), full(x)
    for step in range(3):
        full.kernels[step].assign(keras.ops.repeat(vector.kernels[step].value, 5, axis=1))
    np.testing.assert_allclose(
        *(keras.ops.convert_to_numpy(layer(x)) for layer in (vector, full)), rtol=1e-5, atol=1e-5
    )


def test_the_bias_is_outside_the_product():
    """Of an input of zeros every step keeps the biases; inside the product they would be lost."""
    layer = VectorCrossNetwork(depth=2, bias_initializer=keras.initializers.Constant(0.5))
    np.testing.assert_array_equal(
        keras.ops.convert_to_numpy(layer(np.zeros((1, 3), "float32"))), [[1.0, 1.0, 1.0]]
    )


def test_zero_weights_give_the_identity():
    x = normal((4, 5))
    outputs = VectorCrossNetwork(depth=3, kernel_initializer="zeros")(x)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(outputs), x)


@pytest.mark.parametrize("depth", [1, 3])
def test_is_a_polynomial_of_degree_depth_plus_one(depth):
    layer = VectorCrossNetwork(depth, kernel_initializer=keras.initializers.Constant(0.3))
    x = np.random.default_rng(0).uniform(0.5, 1.0, (1, 5))
    values = np.stack([keras.ops.convert_to_numpy(layer(t * x)) for t in range(depth + 3)])
    scale = np.abs(values).max()
    assert np.abs(np.diff(values, depth + 1, axis=0)).max() > 1e-3 * scale
    assert np.abs(np.diff(values.astype("float64"), depth + 2, axis=0)).max() < 1e-5 * scale


@pytest.mark.parametrize("value", [0, 1.5, "2", True, None])
def test_rejects_a_bad_depth(value):
    with pytest.raises(ValueError, match=r"`depth` must be a positive .*Received: depth="):
        VectorCrossNetwork(depth=value)


def test_rejects_an_unknown_width():
    with pytest.raises(ValueError, match=r"needs a known last dimension.*Received: input_shape="):
        VectorCrossNetwork().build((None, None))
