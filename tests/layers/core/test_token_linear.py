import keras
import numpy as np
import pytest

from kranking.layers import TokenLinear
from kranking.testing import check_layer


def oracle(x, weights, config):
    kernel = weights["kernel"]
    outputs = config["num_tokens"] or x.shape[1]
    tokens = [sum(kernel[t, o] * x[:, t] for t in range(x.shape[1])) for o in range(outputs)]
    return np.stack(tokens, axis=1)


@pytest.mark.parametrize(("num_tokens", "shape"), [(2, (5, 3, 4)), (None, (3, 4, 2))])
def test_contract(num_tokens, shape):
    check_layer(TokenLinear, {"num_tokens": num_tokens}, shape, oracle)


@pytest.mark.parametrize(("tokens", "outputs", "dim"), [(3, 2, 4), (10, 10, 16), (7, 31, 1)])
def test_cost(tokens, outputs, dim):
    work = TokenLinear(outputs).work((None, tokens, dim))
    assert work.parameters == tokens * outputs
    assert work.matmul_flops == 2 * tokens * outputs * dim


def test_an_identity_kernel_keeps_the_tokens():
    x = np.random.default_rng(0).standard_normal((2, 3, 4)).astype("float32")
    layer = TokenLinear(3, kernel_initializer="identity")
    np.testing.assert_allclose(keras.ops.convert_to_numpy(layer(x)), x, rtol=1e-6)


@pytest.mark.parametrize("value", [0, 2.0, "3"])
def test_rejects(value):
    with pytest.raises(
        ValueError, match=r"`num_tokens` must be a positive integer or None. Received"
    ):
        TokenLinear(value)


@pytest.mark.parametrize("shape", [(None, 4), (None, None, 4)])
def test_rejects_shapes(shape):
    with pytest.raises(ValueError, match=r"shape \(batch, tokens, dim\) with a known number"):
        TokenLinear(2).build(shape)
