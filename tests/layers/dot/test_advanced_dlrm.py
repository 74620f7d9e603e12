import keras
import numpy as np
import pytest

from kranking.layers import AdvancedDLRM, DHENLayer, TokenLinear
from kranking.testing import check_layer


def oracle(inputs, weights, config):
    tokens, *numbers = inputs if isinstance(inputs, list) else [inputs]
    gram = np.einsum("bnd,bmd->bnm", tokens, tokens)
    hidden = (gram @ weights["compression/kernel"]).reshape(len(tokens), -1)
    hidden = np.concatenate([hidden, *numbers], axis=1)
    for index in range(len(config["units"])):
        hidden = hidden @ weights[f"mlp/dense_{index}/kernel"]
        hidden = np.maximum(hidden + weights[f"mlp/dense_{index}/bias"], 0)
    return (hidden @ weights["projection/kernel"]).reshape(len(tokens), -1, tokens.shape[2])


def test_contract():
    check_layer(AdvancedDLRM, {"rank": 2, "units": (7, 6)}, (5, 4, 3), oracle)


def test_contract_with_numbers():
    config = {"num_tokens": 2, "rank": 3, "units": (6,), "use_numeric": True}
    check_layer(AdvancedDLRM, config, [(5, 4, 3), (5, 2)], oracle)


@pytest.mark.parametrize(
    ("tokens", "dim", "rank", "given", "numbers"),
    [(2, 3, 1, 1, 1), (9, 8, 4, 3, 5), (27, 16, 8, 27, 13)],
)
def test_cost(tokens, dim, rank, given, numbers):
    shape = (None, tokens, dim)
    dots = (tokens * rank, 4 * tokens * dim * rank)
    for extra, inputs in ((0, shape), (numbers, [shape, (None, numbers)])):
        layer = AdvancedDLRM(given, rank, (11, 7), use_numeric=extra > 0)
        work = layer.work(inputs)
        kernels = (tokens * rank + extra) * 11 + 11 * 7 + 7 * given * dim
        assert work.parameters == dots[0] + kernels + 11 + 7
        assert work.matmul_flops == dots[1] + 2 * kernels
        assert layer.compute_output_shape(inputs) == (None, given, dim)


def test_none_keeps_the_number_of_tokens():
    assert AdvancedDLRM().compute_output_shape((None, 5, 4)) == (None, 5, 4)


def test_sees_the_inner_products_alone():
    random = np.random.default_rng(0)
    tokens = random.standard_normal((4, 5, 6)).astype("float32")
    rotation = np.linalg.qr(random.standard_normal((6, 6)))[0].astype("float32")
    layer = AdvancedDLRM(rank=3, units=(8,))
    straight, rotated = (
        keras.ops.convert_to_numpy(layer(value)) for value in (tokens, tokens @ rotation)
    )
    np.testing.assert_allclose(straight, rotated, rtol=1e-4, atol=1e-4)


def test_is_a_module_of_dhen():
    """Which tells it how many tokens to give, and hands it the numbers."""
    module = AdvancedDLRM(rank=2, units=(6,), use_numeric=True)
    layer = DHENLayer([module, TokenLinear(1)])
    assert layer.takes == ("tokens", "numeric")
    outputs = layer([np.ones((2, 5, 4), "float32"), np.ones((2, 3), "float32")])
    assert tuple(outputs.shape) == (2, 5, 4)
    assert module.num_tokens == 4


@pytest.mark.parametrize(
    ("use_numeric", "shape"),
    [
        (False, [(None, 4, 3), (None, 2)]),
        (True, (None, 4, 3)),
        (True, [(None, 4, 3), (None, 2, 3)]),
        (True, [(None, 4, 3), (None, None)]),
    ],
    ids=str,
)
def test_wants_its_inputs(use_numeric, shape):
    with pytest.raises(
        ValueError, match=rf"since use_numeric={use_numeric}. Received: input_shape"
    ):
        AdvancedDLRM(use_numeric=use_numeric).build(shape)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"num_tokens": 0}, r"`num_tokens` must be a positive integer or None. Received"),
        ({"rank": "2"}, r"`rank` must be a positive integer. Received: rank='2'"),
        ({"units": ()}, r"`units` must be a list of positive integers, not empty. Received"),
    ],
    ids=str,
)
def test_rejects(config, message):
    with pytest.raises(ValueError, match=message):
        AdvancedDLRM(**config)
