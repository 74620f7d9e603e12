import keras
import numpy as np
import pytest

from kranking.layers import MLP, MixtureOfExperts
from kranking.testing import check_layer


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def oracle(x, weights, config):
    """Every expert in turn, then the weighted sum."""
    gates = softmax(x @ weights["gate/kernel"])
    total = 0
    for expert in range(config.get("num_experts", 4)):
        h = x
        for index in range(len(config["units"])):
            path = f"experts/dense_{index}"
            h = h @ weights[f"{path}/kernel"][expert] + weights[f"{path}/bias"][expert]
            h = np.tanh(h) if config.get("activation") == "tanh" else np.maximum(h, 0)
        total = total + gates[:, expert : expert + 1] * h
    return total


@pytest.mark.parametrize(
    "config",
    [
        {"units": (8, 4)},
        {"units": (5,), "num_experts": 2, "activation": "tanh"},
    ],
    ids=str,
)
def test_contract(config):
    check_layer(MixtureOfExperts, config, (5, 6), oracle)


def mlp_size(width, *units):
    return sum(a * b + b for a, b in zip((width, *units), units))


@pytest.mark.parametrize(
    ("units", "experts", "width"), [((8,), 1, 4), ((6, 3), 4, 9), ((64, 32), 16, 31)]
)
def test_cost(units, experts, width):
    work = MixtureOfExperts(units, experts).work((None, width))
    assert work.parameters == experts * mlp_size(width, *units) + width * experts
    products = sum(a * b for a, b in zip((width, *units), units))
    assert work.matmul_flops == 2 * (experts * products + width * experts + experts * units[-1])


def normal(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def values(layer, inputs):
    return keras.ops.convert_to_numpy(layer(inputs))


def test_equal_experts_are_one_whatever_the_gate():
    one, many = MLP([7, 3]), MixtureOfExperts((7, 3), num_experts=3)
    x = normal((4, 6))
    one(x), many(x)
    for single, stacked in zip(one.steps, many.experts.steps, strict=True):
        stacked.kernel.assign(np.stack([keras.ops.convert_to_numpy(single.kernel.value)] * 3))
    np.testing.assert_allclose(values(many, x), values(one, x), rtol=1e-5, atol=1e-5)


def test_a_sure_gate_picks_one_expert():
    layer = MixtureOfExperts((3,), num_experts=2)
    x = np.abs(normal((4, 6)))
    layer(x)
    layer.gate.kernel.assign(np.stack([np.full(6, -50.0), np.full(6, 50.0)], axis=1))
    expert = layer.experts.steps[0]
    second = np.maximum(x @ keras.ops.convert_to_numpy(expert.kernel.value)[1], 0)
    np.testing.assert_allclose(values(layer, x), second, rtol=1e-5, atol=1e-5)


def test_experts_start_apart_under_a_seed_and_as_wide_as_alone():
    initializer = keras.initializers.GlorotUniform(seed=1)
    layer = MixtureOfExperts((400,), num_experts=3, kernel_initializer=initializer)
    layer.build((None, 200))
    kernels = keras.ops.convert_to_numpy(layer.experts.steps[0].kernel.value)
    assert np.abs(kernels[0] - kernels[1]).max() > 1e-3
    limit = np.sqrt(6 / 600)
    for kernel in kernels:
        assert 0.99 * limit < np.abs(kernel).max() <= limit


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"units": ()}, r"`units` must be a list of positive integers, not empty"),
        ({"units": (4,), "num_experts": 0}, r"`num_experts` must be a positive .*num_experts=0"),
    ],
    ids=str,
)
def test_rejects(config, message):
    with pytest.raises(ValueError, match=message):
        MixtureOfExperts(**config)
