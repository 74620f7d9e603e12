import math

import keras
import numpy as np
import pytest

from kranking.layers import MixerLayer
from kranking.testing import check_layer

ACTIVATIONS = {
    "gelu": lambda x: x * (1 + np.vectorize(math.erf)(x / np.sqrt(2))) / 2,
    "relu": lambda x: np.maximum(x, 0),
}


def oracle(x, weights, config):
    """Equation 1, one column and one token at a time."""
    activation = ACTIVATIONS[config.get("activation", "gelu")]

    def normalize(values, name, epsilon=1e-5):
        centred = values - values.mean(-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + epsilon)
        return scaled * weights[f"{name}/gamma"] + weights[f"{name}/beta"]

    def perceptron(values, axis):
        w = weights
        hidden = values @ w[f"expand_{axis}/kernel"] + w[f"expand_{axis}/bias"]
        return activation(hidden) @ w[f"contract_{axis}/kernel"] + w[f"contract_{axis}/bias"]

    y, normal = x.copy(), normalize(x, "norm_tokens")
    for d in range(x.shape[2]):
        y[:, :, d] += perceptron(normal[:, :, d], "tokens")
    z, normal = y.copy(), normalize(y, "norm_channels")
    for t in range(x.shape[1]):
        z[:, t] += perceptron(normal[:, t], "channels")
    return z


@pytest.mark.parametrize(
    "config",
    [
        {"tokens_mlp_dim": 2, "channels_mlp_dim": 5},
        {"tokens_mlp_dim": 7, "channels_mlp_dim": 3, "activation": "relu"},
    ],
    ids=str,
)
def test_contract(config):
    check_layer(MixerLayer, config, (5, 3, 4), oracle)


@pytest.mark.parametrize(
    ("tokens", "dim", "along", "across"), [(3, 4, 2, 8), (10, 16, 32, 64), (39, 8, 5, 17)]
)
def test_cost(tokens, dim, along, across):
    work = MixerLayer(along, across).work((None, tokens, dim))
    sizes = [(tokens, along), (along, tokens), (dim, across), (across, dim)]
    assert work.parameters == sum(a * b + b for a, b in sizes) + 4 * dim
    assert work.matmul_flops == 4 * tokens * dim * (along + across)


def values(layer, x):
    return keras.ops.convert_to_numpy(layer(x))


def tokens_of(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype("float32")


def test_without_kernels_it_is_the_identity():
    x = tokens_of(2, 3, 4)
    np.testing.assert_allclose(values(MixerLayer(kernel_initializer="zeros"), x), x, rtol=1e-6)


def test_without_the_first_perceptron_tokens_do_not_meet():
    x, order = tokens_of(2, 3, 4), [2, 0, 1]
    layer = MixerLayer(4, 5)
    layer.build(x.shape)
    assert np.abs(values(layer, x)[:, order] - values(layer, x[:, order])).max() > 1e-3
    layer.contract_tokens.kernel.assign(np.zeros((4, 3)))
    moved = x.copy()
    moved[:, 0] += 1
    np.testing.assert_array_equal(values(layer, x)[:, 1:], values(layer, moved)[:, 1:])
    np.testing.assert_allclose(
        values(layer, x)[:, order], values(layer, x[:, order]), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"tokens_mlp_dim": 0}, r"`tokens_mlp_dim` must be a positive integer"),
        ({"channels_mlp_dim": 2.0}, r"`channels_mlp_dim` must be a positive integer"),
        ({"epsilon": -1.0}, r"`epsilon` must be a number"),
    ],
    ids=str,
)
def test_rejects(config, message):
    with pytest.raises(ValueError, match=message):
        MixerLayer(**config)


@pytest.mark.parametrize("shape", [(None, 4), (None, None, 4)])
def test_rejects_shapes(shape):
    with pytest.raises(ValueError, match=r"shape \(batch, tokens, dim\) with a known number"):
        MixerLayer().build(shape)
