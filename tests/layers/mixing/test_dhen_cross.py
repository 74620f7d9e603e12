import keras
import numpy as np
import pytest

from kranking.layers import CrossNetwork, DHENCross, GramCross
from kranking.testing import check_layer


def flat_oracle(x, weights, config):
    flat = x.reshape(len(x), -1)
    return (flat * (flat @ weights["kernel"] + weights["bias"])).reshape(x.shape)


def gram_oracle(x, weights, config):
    """Equation 7 in the paper's layout, where tokens are columns: X Xᵀ W + bᵀ."""
    columns = [(row.T @ row) @ weights["kernel"] + weights["bias"].T for row in x]
    return np.stack([column.T for column in columns])


@pytest.mark.parametrize("config", [{}, {"bias_initializer": "ones"}], ids=str)
def test_contract(config):
    check_layer(DHENCross, config, (5, 3, 4), flat_oracle)


@pytest.mark.parametrize("config", [{}, {"num_tokens": 2}], ids=str)
def test_gram_contract(config):
    check_layer(GramCross, config, (5, 3, 4), gram_oracle)


@pytest.mark.parametrize(("tokens", "dim", "count"), [(1, 4, 2), (5, 3, 5), (12, 8, 30)])
def test_cost(tokens, dim, count):
    shape, width = (None, tokens, dim), tokens * dim
    work = DHENCross().work(shape)
    assert (work.parameters, work.matmul_flops) == (width**2 + width, 2 * width**2)
    work = GramCross(count).work(shape)
    assert work.parameters == 2 * dim * count
    assert work.matmul_flops == 2 * tokens * dim**2 + 2 * dim**2 * count


def normal(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def values(layer, inputs):
    return keras.ops.convert_to_numpy(layer(inputs))


def test_the_flat_cross_is_a_cross_network_without_its_skip():
    x = normal((4, 3, 2))
    cross, network = DHENCross(), CrossNetwork(1)
    flat = x.reshape(4, 6)
    cross(x), network(flat)
    network.set_weights(cross.get_weights())
    expected = values(network, flat) - flat
    np.testing.assert_allclose(values(cross, x).reshape(4, 6), expected, rtol=1e-5, atol=1e-5)


def test_the_gram_cross_is_blind_to_the_order_of_tokens_and_the_flat_cross_is_not():
    x = normal((4, 3, 5))
    turned = x[:, [2, 0, 1]]
    gram, flat = GramCross(2), DHENCross()
    np.testing.assert_allclose(values(gram, x), values(gram, turned), rtol=1e-4, atol=1e-4)
    assert np.abs(values(flat, x)[:, [2, 0, 1]] - values(flat, turned)).max() > 1e-2


@pytest.mark.parametrize("cls", [DHENCross, GramCross])
def test_wants_a_known_number_of_tokens(cls):
    with pytest.raises(ValueError, match=r"known number of tokens. Received: input_shape="):
        cls().build((None, None, 4))


@pytest.mark.parametrize("value", [0, 1.5, "2"])
def test_rejects(value):
    with pytest.raises(
        ValueError, match=r"`num_tokens` must be a positive .*Received: num_tokens="
    ):
        GramCross(value)
