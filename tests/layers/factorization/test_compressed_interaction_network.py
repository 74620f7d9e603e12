import keras
import numpy as np
import pytest

from kranking.layers import CompressedInteractionNetwork, FactorizationMachine
from kranking.testing import check_layer

ACTIVATIONS = {None: lambda x: x, "relu": lambda x: np.maximum(x, 0), "tanh": np.tanh}


def oracle(x, weights, config):
    """Equations 6 and 8, a sum over pairs for each feature map."""
    activation = ACTIVATIONS[config.get("activation")]
    fields, units, maps, outputs = x.shape[1], config["units"], x, []
    for index, size in enumerate(units):
        kernel = weights[f"kernel_{index}"].reshape(fields, maps.shape[1], size)
        new = np.zeros((len(x), size, x.shape[2]))
        for i in range(fields):
            for j in range(maps.shape[1]):
                new += kernel[i, j][None, :, None] * (x[:, i] * maps[:, j])[:, None, :]
        if config.get("use_bias", True):
            new = new + weights[f"bias_{index}"][None, :, None]
        maps = activation(new)
        if config.get("split_half") and index < len(units) - 1:
            maps, direct = np.split(maps, 2, axis=1)
        else:
            direct = maps
        outputs.append(direct.sum(axis=2))
    return np.concatenate(outputs, axis=1)


@pytest.mark.parametrize(
    "config",
    [
        {"units": (3, 2)},
        {"units": (4, 2, 3), "split_half": True, "activation": "tanh"},
        {"units": (3,), "use_bias": False, "activation": "relu"},
    ],
    ids=str,
)
def test_contract(config):
    check_layer(CompressedInteractionNetwork, config, (5, 4, 3), oracle)


@pytest.mark.parametrize(
    ("fields", "dim", "units"), [(10, 10, (64, 64, 64)), (3, 4, (6,)), (39, 16, (100, 50))]
)
@pytest.mark.parametrize("bias", [True, False])
def test_cost(fields, dim, units, bias):
    work = CompressedInteractionNetwork(units, use_bias=bias).work((None, fields, dim))
    read = (fields, *units)
    products = [fields * before * size for before, size in zip(read, units)]
    assert work.parameters == sum(products) + bias * sum(units)
    assert work.matmul_flops == 2 * dim * sum(products)


def test_cost_of_halves():
    work = CompressedInteractionNetwork((8, 6, 5), split_half=True).work((None, 7, 4))
    products = 7 * 7 * 8 + 7 * 4 * 6 + 7 * 3 * 5
    assert (work.parameters, work.matmul_flops) == (products + 19, 2 * 4 * products)


def values(layer, x):
    return keras.ops.convert_to_numpy(layer(x.astype("float32")))


def test_one_layer_of_ones_is_a_factorization_machine():
    """`‖Σ_f e_f‖² = 2 FM + Σ_f ‖e_f‖²`."""
    x = np.random.default_rng(0).standard_normal((4, 5, 3))
    layer = CompressedInteractionNetwork((1,), use_bias=False, kernel_initializer="ones")
    squares = (x**2).sum((1, 2))
    np.testing.assert_allclose(
        values(layer, x)[:, 0],
        2 * values(FactorizationMachine(), x)[:, 0] + squares,
        rtol=1e-5,
        atol=1e-5,
    )


def test_layer_k_is_homogeneous_of_degree_k_plus_one():
    x = np.random.default_rng(0).standard_normal((4, 5, 3))
    layer = CompressedInteractionNetwork((2, 3, 4), use_bias=False)
    once, twice = (np.split(values(layer, scale * x), [2, 5], axis=1) for scale in (1.0, 2.0))
    for degree, (small, large) in enumerate(zip(once, twice, strict=True), start=2):
        np.testing.assert_allclose(large, 2.0**degree * small, rtol=1e-4, atol=1e-4)


def test_a_channel_does_not_see_the_others():
    """The output is a sum over channels of what each of them alone would give."""
    x = np.random.default_rng(0).standard_normal((4, 5, 3))
    layer = CompressedInteractionNetwork((4, 2), use_bias=False)
    alone = [values(layer, x * (np.arange(3) == channel)) for channel in range(3)]
    np.testing.assert_allclose(sum(alone), values(layer, x), rtol=1e-4, atol=1e-5)


def test_half_precision_keeps_a_sum_that_it_could_not_hold():
    x = np.ones((1, 2, 4000), "float32")
    layer = CompressedInteractionNetwork(
        (1,), use_bias=False, kernel_initializer="ones", dtype="mixed_bfloat16"
    )
    total = float(keras.ops.convert_to_numpy(keras.ops.cast(layer(x), "float32"))[0, 0])
    assert abs(total / 16000 - 1) < 0.005


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"units": ()}, r"`units` must be a list of positive integers, not empty"),
        (
            {"units": (4, 0)},
            r"`units` must be a list of positive integers.*Received: units=\(4, 0\)",
        ),
        ({"units": (3, 4), "split_half": True}, r"`units` except the last must be even"),
    ],
    ids=str,
)
def test_rejects(config, message):
    with pytest.raises(ValueError, match=message):
        CompressedInteractionNetwork(**config)


def test_an_odd_last_layer_can_be_split():
    layer = CompressedInteractionNetwork((4, 3), split_half=True)
    assert layer.compute_output_shape((None, 5, 2)) == (None, 5)


@pytest.mark.parametrize("shape", [(None, 4), (None, None, 4)])
def test_rejects_shapes(shape):
    with pytest.raises(ValueError, match=r"shape \(batch, tokens, dim\) with a known number"):
        CompressedInteractionNetwork().build(shape)
