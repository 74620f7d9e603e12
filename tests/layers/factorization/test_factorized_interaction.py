import math

import keras
import numpy as np
import pytest
from keras import ops

from kranking.layers import FactorizedInteraction, FactorizedNetwork
from kranking.testing import check_layer

ACTIVATIONS = {None: lambda x: x, "relu": lambda x: np.maximum(x, 0), "tanh": np.tanh}


def interact(x, weights, config, prefix="projection/"):
    both = x @ weights[f"{prefix}kernel"] + weights[f"{prefix}bias"]
    middle = both.shape[-1] // 2
    u, v = both[..., :middle], ACTIVATIONS[config.get("activation")](both[..., middle:])
    if config.get("merge") == "sum":
        return u + u * v
    return np.concatenate([u, u * v], axis=-1)


def network(x, weights, config):
    for i in range(len(config["units"])):
        x = interact(x, weights, {"merge": config.get("merge")}, f"interaction_{i}/projection/")
        if config.get("batch_norm", True):
            w = {n: weights[f"norm_{i}/{n}"] for n in ("gamma", "beta", "moving_mean")}
            scale = w["gamma"] / np.sqrt(weights[f"norm_{i}/moving_variance"] + 1e-5)
            x = (x - w["moving_mean"]) * scale + w["beta"]
        x = ACTIVATIONS[config.get("activation")](x)
    return x


@pytest.mark.parametrize(
    "config",
    [{"units": 4}, {"units": 3, "merge": "sum"}, {"units": 6, "activation": "tanh"}],
    ids=str,
)
def test_contract(config):
    check_layer(FactorizedInteraction, config, (5, 6), interact)


@pytest.mark.parametrize(
    "config",
    [
        {"units": (4, 6)},
        {"units": (3, 5), "merge": "sum", "batch_norm": False},
        {"units": (4,), "activation": "relu", "dropout": 0.2},
    ],
    ids=str,
)
def test_network_contract(config):
    check_layer(FactorizedNetwork, config, (5, 6), network)


def test_contract_with_fields():
    check_layer(FactorizedInteraction, {"units": 4}, (5, 3, 6), interact)


@pytest.mark.parametrize(("width", "units"), [(6, 4), (100, 400), (31, 64)])
def test_cost(width, units):
    for merge, factor in (("concat", 1), ("sum", 2)):
        work = FactorizedInteraction(units, merge).work((None, width))
        assert work.parameters == factor * (width * units + units)
        assert work.matmul_flops == factor * 2 * width * units
        work = FactorizedNetwork((units, 10), merge).work((None, width))
        sizes = [factor * (a * b + b) + 2 * b for a, b in ((width, units), (units, 10))]
        assert work.parameters == sum(sizes)
        assert work.matmul_flops == factor * 2 * (width * units + units * 10)
    assert FactorizedInteraction(units).work((None, 3, width)).matmul_flops == 6 * width * units


def normal(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def values(tensor):
    return ops.convert_to_numpy(tensor)


def difference(function, order):
    """The finite difference of an order over [-1, 1]: 0 for a polynomial of a lower degree."""
    points = np.linspace(-1, 1, order + 1)
    terms = [(-1) ** i * math.comb(order, i) * function(t) for i, t in enumerate(points)]
    return np.abs(np.sum(terms, axis=0)).max()


@pytest.mark.parametrize("merge", ["concat", "sum"])
@pytest.mark.parametrize("depth", [1, 2])
def test_every_layer_doubles_the_degree(depth, merge):
    net = FactorizedNetwork((4,) * depth, merge, batch_norm=False)
    x = normal((3, 5))
    net(x)
    degree = 2**depth
    size = np.abs(values(net(x))).max()

    def along(t):
        return values(net((t * x).astype("float32")))

    assert difference(along, degree + 1) < 1e-4 * size
    assert difference(along, degree) > 1e-2 * size


def test_a_second_half_of_zeros_leaves_a_dense_layer():
    x = normal((4, 6))
    layer = FactorizedInteraction(3, "sum")
    layer.build((None, 6))
    kernel = normal((6, 6), 1)
    kernel[:, 3:] = 0
    layer.projection.kernel.assign(kernel)
    np.testing.assert_allclose(values(layer(x)), x @ kernel[:, :3], rtol=1e-5, atol=1e-5)


def test_order_of_norm_activation_and_dropout():
    names = [step.name for step in FactorizedNetwork((4, 2), activation="relu", dropout=0.1).steps]
    assert names == [
        f"{name}_{index}"
        for index in range(2)
        for name in ("interaction", "norm", "activation", "dropout")
    ]
    assert len(FactorizedNetwork((4,), batch_norm=False).steps) == 1


def test_layers_start_apart_under_a_seed():
    net = FactorizedNetwork((6, 6), kernel_initializer=keras.initializers.GlorotUniform(1))
    net.build((None, 6))
    first, second = (values(net.steps[i].projection.kernel) for i in (0, 2))
    assert np.abs(first - second).max() > 1e-3


@pytest.mark.parametrize(
    ("cls", "config", "message"),
    [
        (FactorizedInteraction, {"units": 0}, r"`units` must be a positive integer"),
        (FactorizedInteraction, {"units": 5}, r"`units` must be even with merge='concat'.*=5"),
        (FactorizedInteraction, {"units": 4, "merge": "mean"}, r"`merge` must be one of"),
        (FactorizedNetwork, {"units": ()}, r"`units` must be a list of positive integers"),
        (FactorizedNetwork, {"units": (4, 3)}, r"`units` must be even with merge='concat'"),
        (FactorizedNetwork, {"units": (4,), "merge": 1}, r"`merge` must be one of"),
        (FactorizedNetwork, {"units": (4,), "dropout": 1.0}, r"`dropout` must be a number in"),
        (FactorizedNetwork, {"units": (4,), "epsilon": -1.0}, r"`epsilon` must be a number in"),
    ],
    ids=str,
)
def test_rejects(cls, config, message):
    with pytest.raises(ValueError, match=message):
        cls(**config)


@pytest.mark.parametrize("cls", [FactorizedInteraction, FactorizedNetwork])
def test_rejects_an_unknown_width(cls):
    with pytest.raises(ValueError, match="needs a known last dimension"):
        cls(4 if cls is FactorizedInteraction else (4,)).build((None, None))
