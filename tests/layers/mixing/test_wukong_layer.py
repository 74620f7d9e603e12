from itertools import pairwise

import keras
import numpy as np
import pytest

from kranking.layers import WukongLayer
from kranking.testing import check_layer


def normalize(x, weights, name, epsilon=1e-5):
    centred = x - x.mean(-1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + epsilon)
    return scaled * weights[f"{name}/gamma"] + weights[f"{name}/beta"]


def machine(tokens, weights, config):
    """FMB = reshape(MLP(LN(vec(X Xᵀ K))))."""
    gram = np.einsum("bnd,bmd->bnm", tokens, tokens)
    hidden = (gram @ weights["fmb_dots/kernel"]).reshape(len(tokens), -1)
    hidden = normalize(hidden, weights, "fmb_norm")
    last = len(config["fmb_mlp_units"])
    for index in range(last + 1):
        kernel, bias = (weights[f"fmb_dense_{index}/{part}"] for part in ("kernel", "bias"))
        hidden = hidden @ kernel + bias
        hidden = np.maximum(hidden, 0) if index < last else hidden
    return hidden.reshape(len(tokens), -1, tokens.shape[2])


def oracle(tokens, weights, config):
    linear = np.einsum("bnd,nl->bld", tokens, weights["lcb/kernel"])
    residual = tokens
    if "residual/kernel" in weights:
        residual = np.einsum("bnd,nl->bld", tokens, weights["residual/kernel"])
    joined = np.concatenate([machine(tokens, weights, config), linear], axis=1)
    return normalize(joined + residual, weights, "norm")


@pytest.mark.parametrize(
    ("features", "units"), [((3, 2), (7,)), ((1, 2), ()), ((2, 1), (6, 4))], ids=str
)
def test_contract(features, units):
    """Five tokens keep their number in the first case only."""
    config = {"fmb_features": features[0], "lcb_features": features[1]}
    config |= {"fmb_rank_k": 2, "fmb_mlp_units": units}
    check_layer(WukongLayer, config, (5, 5, 4), oracle)


@pytest.mark.parametrize(
    ("tokens", "dim", "fmb", "lcb", "rank", "units"),
    [
        (5, 4, 3, 2, 2, (7,)),
        (10, 16, 8, 8, 24, (32, 9)),
        (16, 128, 8, 8, 24, (512, 256)),
        (3, 2, 1, 1, 1, ()),
    ],
)
def test_cost(tokens, dim, fmb, lcb, rank, units):
    """The formulas of a layer as printed, n tokens in and n_F + n_L out."""
    layer, shape = WukongLayer(fmb, lcb, rank, units), (None, tokens, dim)
    widths = (tokens * rank, *units, fmb * dim)
    kernels = sum(a * b for a, b in pairwise(widths))
    residual = 0 if tokens == fmb + lcb else tokens * (fmb + lcb)
    parameters = tokens * rank + 2 * tokens * rank + kernels + sum(widths[1:])
    parameters += tokens * lcb + residual + 2 * dim
    flops = 4 * tokens * rank * dim + 2 * kernels + 2 * tokens * lcb * dim + 2 * residual * dim
    work = layer.work(shape)
    assert (work.parameters, work.matmul_flops) == (parameters, flops)
    assert layer.compute_output_shape(shape) == (None, fmb + lcb, dim)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def values(tensor):
    return keras.ops.convert_to_numpy(tensor)


def built(fmb=3, lcb=2, tokens=6, dim=4):
    layer = WukongLayer(fmb, lcb, fmb_rank_k=3, fmb_mlp_units=(8,))
    layer.build((None, tokens, dim))
    return layer


def crossed(layer, tokens):
    for step in layer.fmb:
        tokens = step(tokens)
    return values(tokens)


def test_the_machine_sees_the_inner_products_alone():
    layer, tokens = built(), normal(5, 6, 4)
    rotation = np.linalg.qr(normal(4, 4, seed=1))[0]
    np.testing.assert_allclose(
        crossed(layer, tokens), crossed(layer, tokens @ rotation), rtol=1e-3, atol=1e-4
    )
    assert np.abs(crossed(layer, tokens) - crossed(layer, tokens + 0.1)).max() > 1e-3


def test_the_linear_block_is_linear():
    layer = built()
    one, two = normal(5, 6, 4), normal(5, 6, 4, seed=1)
    together = values(layer.lcb(2 * one - 3 * two))
    apart = 2 * values(layer.lcb(one)) - 3 * values(layer.lcb(two))
    np.testing.assert_allclose(together, apart, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("tokens", [5, 6])
def test_silent_blocks_leave_the_norm_of_the_residual(tokens):
    layer, x = built(tokens=tokens), normal(3, tokens, 4)
    for weight in (layer.lcb.kernel, layer.fmb[-1].kernel):
        weight.assign(np.zeros(weight.shape))
    assert (layer.residual is None) == (tokens == 5)
    residual = x if layer.residual is None else values(layer.residual(x))
    np.testing.assert_allclose(values(layer(x)), values(layer.norm(residual)), rtol=1e-5, atol=1e-5)


def test_the_machine_comes_before_the_linear_block():
    """Of the output's tokens, a change of `W` moves the last `lcb_features` alone."""
    layer, x = built(tokens=5), normal(3, 5, 4)
    before = values(layer(x))
    layer.lcb.kernel.assign(normal(5, 2, seed=2))
    moved = np.abs(values(layer(x)) - before).max(axis=(0, 2))
    assert (moved[:3] == 0).all()
    assert (moved[3:] > 1e-3).all()


@pytest.mark.parametrize("name", ["fmb_features", "lcb_features", "fmb_rank_k"])
@pytest.mark.parametrize("value", [0, 2.0, True])
def test_rejects(name, value):
    with pytest.raises(ValueError, match=f"`{name}` must be a positive .*Received: {name}="):
        WukongLayer(**{name: value})


def test_rejects_other_settings():
    with pytest.raises(ValueError, match=r"`fmb_mlp_units` must be a list of positive integers"):
        WukongLayer(fmb_mlp_units=(0,))
    with pytest.raises(ValueError, match=r"`epsilon` must be a number"):
        WukongLayer(epsilon=-1.0)
    with pytest.raises(ValueError, match=r"shape \(batch, tokens, dim\) with a known number"):
        WukongLayer().build((None, 12))
