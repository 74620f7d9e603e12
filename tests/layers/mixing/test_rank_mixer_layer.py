from math import erf

import keras
import numpy as np
import pytest

from kranking.layers import RankMixerLayer, TransformerEncoderLayer
from kranking.testing import check_layer


def normalize(x, weights, name, epsilon):
    centred = x - x.mean(-1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + epsilon)
    return scaled * weights[f"{name}/gamma"] + weights[f"{name}/beta"]


def gelu(x):
    return x * 0.5 * (1 + np.vectorize(erf)(x / np.sqrt(2)))


def feed_forward(x, weights):
    rows = []
    for t in range(x.shape[1]):
        hidden = gelu(x[:, t] @ weights["expand/kernel"][t] + weights["expand/bias"][t])
        rows.append(hidden @ weights["contract/kernel"][t] + weights["contract/bias"][t])
    return np.stack(rows, axis=1)


def mixed(x):
    """Token h is the h-th parts of all tokens, side by side."""
    tokens = x.shape[1]
    parts = np.split(x, tokens, axis=2)
    return np.stack([part.reshape(len(x), -1) for part in parts], axis=1)


def oracle(x, weights, config):
    epsilon = config.get("epsilon", 1e-5)
    s = normalize(mixed(x) + x, weights, "norm_mixing", epsilon)
    return normalize(feed_forward(s, weights) + s, weights, "norm_feedforward", epsilon)


@pytest.mark.parametrize(
    ("config", "shape"),
    [({}, (5, 4, 8)), ({"expansion": 2, "epsilon": 1e-3}, (5, 3, 6))],
    ids=str,
)
def test_contract(config, shape):
    check_layer(RankMixerLayer, config, shape, oracle)


@pytest.mark.parametrize(("k", "tokens", "dim"), [(1, 1, 4), (4, 4, 12), (2, 16, 64)])
def test_cost(k, tokens, dim):
    work = RankMixerLayer(k).work((None, tokens, dim))
    assert work.parameters == tokens * (2 * k * dim**2 + k * dim + dim) + 4 * dim
    assert work.matmul_flops == 4 * k * tokens * dim**2


def normal(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def array(tensor):
    return keras.ops.convert_to_numpy(tensor)


def test_mixing_twice_gives_the_tokens_back():
    x = normal((3, 4, 8))
    layer = RankMixerLayer()
    np.testing.assert_array_equal(array(layer.mix(layer.mix(x))), x)
    assert not np.array_equal(array(layer.mix(x)), x)


def test_mixing_moves_values_within_a_row():
    x = normal((3, 4, 8))
    moved = array(RankMixerLayer().mix(x))
    np.testing.assert_array_equal(np.sort(moved.reshape(3, -1)), np.sort(x.reshape(3, -1)))
    # Every token holds a part of every other.
    assert all(np.isin(moved[0, h], x[0, t]).sum() == 2 for h in range(4) for t in range(4))


def test_one_token_is_mixed_with_itself_alone():
    x = normal((3, 1, 5))
    layer = RankMixerLayer(expansion=2)
    layer.build((None, 1, 5))
    weights = {"/".join(w.path.split("/")[-2:]): array(w.value) for w in layer.weights}
    s = normalize(2 * x.astype("float64"), weights, "norm_mixing", 1e-5)
    plain = normalize(feed_forward(s, weights) + s, weights, "norm_feedforward", 1e-5)
    np.testing.assert_allclose(array(layer(x)), plain, rtol=1e-5, atol=1e-5)


def test_equal_weights_for_every_token_are_a_transformer_s_feed_forward():
    def gelu_exactly(values):
        return keras.activations.gelu(values, approximate=False)

    x = normal((3, 4, 8))
    other = TransformerEncoderLayer(
        feedforward_dim=16, norm_first=False, activation=gelu_exactly, name="transformer"
    )
    layer = RankMixerLayer(expansion=2)
    other.build((None, 4, 8)), layer.build((None, 4, 8))
    # Attention that adds nothing leaves the norms and the feed-forward network.
    other.attention_output.kernel.assign(np.zeros((8, 8)))
    for name in ("expand", "contract"):
        kernel = array(getattr(other, name).kernel.value)
        getattr(layer, name).kernel.assign(np.stack([kernel] * 4))
    mixed_in = array(layer.mix(x)) + x
    np.testing.assert_allclose(array(layer(x)), array(other(mixed_in)), rtol=1e-4, atol=1e-5)


def test_without_a_network_the_mixed_tokens_are_normalised():
    x = normal((3, 4, 8))
    layer = RankMixerLayer()
    layer.build((None, 4, 8))
    layer.contract.kernel.assign(np.zeros((4, 32, 8)))
    s = layer.norm_mixing(array(layer.mix(x)) + x)
    np.testing.assert_allclose(array(layer(x)), array(layer.norm_feedforward(s)), atol=1e-6)
    np.testing.assert_allclose(array(layer(x)), array(s), atol=1e-4)  # a norm of a norm


def test_tokens_start_apart_under_a_seed():
    layer = RankMixerLayer(kernel_initializer=keras.initializers.HeNormal(seed=1))
    layer.build((None, 3, 6))
    kernels = array(layer.expand.kernel.value)
    assert np.abs(kernels[0] - kernels[1]).max() > 1e-3


@pytest.mark.parametrize("shape", [(None, 3, 8), (None, None, 8), (None, 8)], ids=str)
def test_rejects_tokens_that_do_not_divide_their_dim(shape):
    with pytest.raises(
        ValueError, match=r"known number of tokens, which must divide dim.*Received"
    ):
        RankMixerLayer().build(shape)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"expansion": 0}, r"`expansion` must be a positive integer. Received: expansion=0"),
        ({"expansion": 1.5}, r"`expansion` must be a positive integer. Received: expansion=1.5"),
        ({"epsilon": -1.0}, r"`epsilon` must be a number"),
    ],
    ids=str,
)
def test_rejects(config, message):
    with pytest.raises(ValueError, match=message):
        RankMixerLayer(**config)
