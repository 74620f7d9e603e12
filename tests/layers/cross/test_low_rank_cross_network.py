import keras
import numpy as np
import pytest

from kranking.layers import CrossNetwork, LowRankCrossNetwork
from kranking.testing import check_layer

ACTIVATIONS = {None: lambda x: x, "relu": lambda x: np.maximum(x, 0), "tanh": np.tanh}


def oracle(x, weights, config):
    """Equation 2 of the paper, with an activation between the factors."""
    activation = ACTIVATIONS[config.get("inner_activation")]
    out = x
    for step in range(config.get("depth", 2)):
        inner = activation(out @ weights[f"down_{step}"])
        out = x * (inner @ weights[f"up_{step}"] + weights[f"bias_{step}"]) + out
    return out


@pytest.mark.parametrize(
    "config",
    [{"rank": 2}, {"depth": 1, "rank": 9}, {"depth": 3, "rank": 3, "inner_activation": "relu"}],
    ids=str,
)
def test_contract(config):
    check_layer(LowRankCrossNetwork, config, (5, 6), oracle)


def test_contract_with_fields():
    check_layer(LowRankCrossNetwork, {"rank": 2, "inner_activation": "tanh"}, (5, 3, 6), oracle)


@pytest.mark.parametrize(("depth", "rank", "width"), [(1, 2, 3), (3, 4, 8), (4, 8, 31)])
def test_cost(depth, rank, width):
    work = LowRankCrossNetwork(depth, rank).work((None, width))
    assert work.parameters == depth * (2 * width * rank + width)
    assert work.matmul_flops == depth * 4 * width * rank


def test_full_rank_equals_the_full_network():
    width = 5
    low, full = LowRankCrossNetwork(depth=2, rank=width), CrossNetwork(depth=2)
    x = np.random.default_rng(0).standard_normal((4, width)).astype("float32")
    low(x), full(x)
    for step in range(2):
        down, up = (keras.ops.convert_to_numpy(w[step].value) for w in (low.downs, low.ups))
        full.kernels[step].assign(down @ up)
    np.testing.assert_allclose(
        *(keras.ops.convert_to_numpy(layer(x)) for layer in (low, full)), rtol=1e-5, atol=1e-5
    )


def test_the_activation_is_between_the_factors():
    layer = LowRankCrossNetwork(depth=1, rank=1, inner_activation="relu", bias_initializer="ones")
    layer.build((None, 1))
    layer.downs[0].assign([[-1.0]])
    layer.ups[0].assign([[1.0]])
    # relu(-2) = 0 leaves the bias alone: 2 (0 + 1) + 2; at -2 it is -2 (2 + 1) - 2.
    outputs = keras.ops.convert_to_numpy(layer(np.array([[2.0], [-2.0]])))
    np.testing.assert_array_equal(outputs, [[4.0], [-8.0]])


@pytest.mark.parametrize("name", ["depth", "rank"])
@pytest.mark.parametrize("value", [0, 1.5, "2", True])
def test_rejects(name, value):
    with pytest.raises(ValueError, match=f"`{name}` must be a positive .*Received: {name}="):
        LowRankCrossNetwork(**{name: value})
