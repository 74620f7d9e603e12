import keras
import numpy as np
import pytest

from kranking.layers import AttentiveDotCompression, DotCompression
from kranking.testing import check_layer


def compressed(tokens, kernel):
    """The order of the definition: the Gram matrix first, then its compression."""
    gram = np.einsum("bnd,bmd->bnm", tokens, tokens)
    return (gram @ kernel).reshape(len(tokens), -1)


def oracle(tokens, weights, config):
    return compressed(tokens, weights["kernel"])


def attentive_kernel(tokens, weights, config):
    """Y(X) = reshape(MLP(vec(W X))), one matrix per row."""
    hidden = np.einsum("bnd,nc->bcd", tokens, weights["compression/kernel"])
    hidden = hidden.reshape(len(tokens), -1)
    last = len(config["units"])
    for index in range(last + 1):
        hidden = hidden @ weights[f"dense_{index}/kernel"] + weights[f"dense_{index}/bias"]
        if index < last:
            hidden = np.maximum(hidden, 0)
    return hidden.reshape(len(tokens), tokens.shape[1], -1)


def attentive_oracle(tokens, weights, config):
    return compressed(tokens, attentive_kernel(tokens, weights, config))


@pytest.mark.parametrize("rank", [1, 3])
def test_contract(rank):
    check_layer(DotCompression, {"rank": rank}, (5, 4, 3), oracle)


@pytest.mark.parametrize("units", [(), (6, 5)], ids=str)
def test_contract_attentive(units):
    config = {"rank": 3, "num_sums": 2, "units": units}
    check_layer(AttentiveDotCompression, config, (5, 4, 3), attentive_oracle)


SIZES = [(2, 3, 1, 1), (10, 16, 4, 5), (39, 64, 24, 8)]


@pytest.mark.parametrize(("tokens", "dim", "rank", "sums"), SIZES)
def test_cost(tokens, dim, rank, sums):
    shape = (None, tokens, dim)
    work = DotCompression(rank).work(shape)
    assert (work.parameters, work.matmul_flops) == (tokens * rank, 4 * tokens * dim * rank)
    work = AttentiveDotCompression(rank, sums, (7,)).work(shape)
    mlp = (sums * dim * 7, 7 * tokens * rank)
    assert work.parameters == tokens * sums + sum(mlp) + 7 + tokens * rank
    assert work.matmul_flops == 2 * tokens * sums * dim + 2 * sum(mlp) + 4 * tokens * dim * rank
    for layer in (DotCompression(rank), AttentiveDotCompression(rank)):
        assert layer.compute_output_shape(shape) == (None, tokens * rank)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def values(tensor):
    return keras.ops.convert_to_numpy(tensor)


def test_the_identity_gives_all_inner_products():
    tokens = normal(3, 5, 4)
    layer = DotCompression(rank=5, kernel_initializer="identity")
    gram = (tokens @ tokens.transpose(0, 2, 1)).reshape(3, -1)
    np.testing.assert_allclose(values(layer(tokens)), gram, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "layer",
    [DotCompression(rank=3), AttentiveDotCompression(rank=3, num_sums=2, units=(6,))],
    ids=["plain", "attentive"],
)
def test_rotation_of_the_channels(layer):
    """Inner products do not see a rotation; the weights of the attentive sums do."""
    tokens = normal(4, 5, 6)
    rotation = np.linalg.qr(normal(6, 6, seed=1))[0]
    straight, rotated = values(layer(tokens)), values(layer(tokens @ rotation))
    if isinstance(layer, DotCompression):
        np.testing.assert_allclose(straight, rotated, rtol=1e-4, atol=1e-4)
    else:
        assert np.abs(straight - rotated).max() > 1e-2


def test_attentive_with_weights_that_do_not_see_the_row_is_plain():
    tokens = normal(4, 5, 6)
    plain, attentive = DotCompression(rank=3), AttentiveDotCompression(rank=3, num_sums=2, units=())
    plain(tokens), attentive(tokens)
    attentive.mlp[-1].set_weights([np.zeros((12, 15)), values(plain.kernel.value).ravel()])
    np.testing.assert_allclose(
        values(attentive(tokens)), values(plain(tokens)), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("cls", [DotCompression, AttentiveDotCompression])
def test_wants_tokens(cls):
    with pytest.raises(ValueError, match=r"shape \(batch, tokens, dim\) with a known number"):
        cls().build((None, 12))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"rank": 0}, r"`rank` must be a positive integer. Received: rank=0"),
        ({"num_sums": 1.5}, r"`num_sums` must be a positive integer. Received: num_sums=1.5"),
        ({"units": (8, "8")}, r"`units` must be a list of positive integers. Received"),
    ],
    ids=str,
)
def test_rejects(config, message):
    with pytest.raises(ValueError, match=message):
        AttentiveDotCompression(**config)
    if "rank" in config:
        with pytest.raises(ValueError, match=message):
            DotCompression(**config)
