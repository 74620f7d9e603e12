import keras
import numpy as np
import pytest

from kranking.layers import CrossNetwork, GatedCrossNetwork
from kranking.testing import check_layer


def oracle(x, weights, config):
    """The paper's gated cross, with a gate without bias."""
    out = x
    for step in range(config.get("depth", 2)):
        gate = 1 / (1 + np.exp(-(out @ weights[f"gate_{step}"])))
        out = x * (out @ weights[f"kernel_{step}"] + weights[f"bias_{step}"]) * gate + out
    return out


@pytest.mark.parametrize(
    ("config", "shape"),
    [({}, (5, 6)), ({"depth": 3, "bias_initializer": "random_uniform"}, (5, 3, 6))],
    ids=str,
)
def test_contract(config, shape):
    check_layer(GatedCrossNetwork, config, shape, oracle)


@pytest.mark.parametrize(("depth", "width"), [(1, 3), (3, 8), (4, 31)])
def test_cost(depth, width):
    work = GatedCrossNetwork(depth).work((None, width))
    assert work.parameters == depth * (2 * width**2 + width)
    assert work.matmul_flops == depth * 4 * width**2


def positive(shape):
    return np.random.default_rng(0).uniform(0.5, 1.0, shape).astype("float32")


def both(x, depth):
    gated = GatedCrossNetwork(depth, bias_initializer=keras.initializers.RandomUniform(0, 1))
    plain = CrossNetwork(depth)
    gated(x), plain(x)
    for step in range(depth):
        plain.kernels[step].assign(gated.kernels[step])
        plain.biases[step].assign(gated.biases[step])
    return gated, plain


def assert_equal(x, *layers):
    np.testing.assert_allclose(
        *(keras.ops.convert_to_numpy(layer(x)) for layer in layers), rtol=1e-5, atol=1e-5
    )


def test_a_gate_of_zeros_halves_what_a_cross_network_adds():
    x = positive((4, 5))
    gated, plain = both(x, 3)
    for step in range(3):
        gated.gates[step].assign(np.zeros((5, 5)))
        plain.kernels[step].assign(plain.kernels[step].value * 0.5)
        plain.biases[step].assign(plain.biases[step].value * 0.5)
    assert_equal(x, gated, plain)


def test_an_open_gate_gives_a_cross_network():
    x = positive((4, 5))
    gated, plain = both(x, 1)
    gated.gates[0].assign(np.full((5, 5), 100.0))  # of positive features: σ(100 Σ x) = 1
    assert_equal(x, gated, plain)


def test_a_shut_gate_gives_the_identity():
    x = positive((4, 5))
    gated, _ = both(x, 2)
    for step in range(2):
        gated.gates[step].assign(np.full((5, 5), -100.0))
    np.testing.assert_allclose(keras.ops.convert_to_numpy(gated(x)), x, atol=1e-6)


def test_zero_weights_give_the_identity():
    x = positive((4, 5))
    layer = GatedCrossNetwork(depth=3, kernel_initializer="zeros")
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(layer(x)), x)


def test_a_seeded_initializer_gives_different_kernels():
    layer = GatedCrossNetwork(2, kernel_initializer=keras.initializers.RandomNormal(seed=3))
    layer.build((None, 4))
    kernels = [keras.ops.convert_to_numpy(w.value) for w in layer.kernels + layer.gates]
    assert len({kernel.tobytes() for kernel in kernels}) == 4


@pytest.mark.parametrize("value", [0, 1.5, "2", True, None])
def test_rejects_a_bad_depth(value):
    with pytest.raises(ValueError, match=r"`depth` must be a positive .*Received: depth="):
        GatedCrossNetwork(depth=value)


def test_rejects_an_unknown_width():
    with pytest.raises(ValueError, match=r"needs a known last dimension.*Received: input_shape="):
        GatedCrossNetwork().build((None, None))
