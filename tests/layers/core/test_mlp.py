import keras
import numpy as np
import pytest

from kranking.layers import MLP
from kranking.testing import check_layer

ACTIVATIONS = {"relu": lambda x: np.maximum(x, 0), "tanh": np.tanh, "linear": lambda x: x}


def oracle(x, weights, config):
    """Projection, batch norm with its moving moments, activation; no dropout when serving."""
    activation = ACTIVATIONS[config.get("activation", "relu")]
    for index in range(len(config["units"])):
        x = x @ weights[f"dense_{index}/kernel"]
        if config.get("use_bias", True):
            x = x + weights[f"dense_{index}/bias"]
        if config.get("batch_norm"):
            norm = {p.split("/")[1]: w for p, w in weights.items() if p.startswith(f"norm_{index}")}
            x = (x - norm["moving_mean"]) / np.sqrt(norm["moving_variance"] + 1e-5)
            x = x * norm["gamma"] + norm["beta"]
        x = activation(x)
    return x


@pytest.mark.parametrize(
    ("config", "idle"),
    [
        ({"units": (4,)}, ()),
        ({"units": (8, 8, 3), "activation": "tanh", "use_bias": False}, ()),
        # A bias before a batch norm is taken out again by the batch's mean.
        (
            {"units": (8, 4), "batch_norm": True, "dropout": 0.2},
            ("dense_0/bias", "dense_1/bias"),
        ),
    ],
    ids=["one", "three", "norm"],
)
def test_contract(config, idle):
    check_layer(MLP, config, (5, 6), oracle, idle=idle)


def test_contract_on_tokens():
    check_layer(MLP, {"units": (8, 4)}, (5, 3, 6), oracle)


@pytest.mark.parametrize("units", [(3,), (64, 32), (400, 400, 400)], ids=str)
def test_cost(units):
    sizes = (17, *units)
    pairs = list(zip(sizes, units))
    work = MLP(units).work((None, 17))
    assert work.parameters == sum(i * o + o for i, o in pairs)
    assert work.matmul_flops == sum(2 * i * o for i, o in pairs)
    work = MLP(units, batch_norm=True).work((None, 17))
    assert work.parameters == sum(i * o + 3 * o for i, o in pairs)


def test_dropout_is_for_training_only():
    layer = MLP((500,), dropout=0.5)
    x = np.ones((1, 4), "float32")
    served = keras.ops.convert_to_numpy(layer(x))
    trained = keras.ops.convert_to_numpy(layer(x, training=True))
    dropped = (trained == 0) & (served > 0)
    assert 0.3 < dropped.sum() / (served > 0).sum() < 0.7
    kept = trained != 0
    np.testing.assert_allclose(trained[kept], 2 * served[kept], rtol=1e-5)


def test_batch_norm_comes_before_the_activation():
    layer = MLP((1,), batch_norm=True)
    x = np.array([[-3.0], [1.0]], "float32")
    outputs = keras.ops.convert_to_numpy(layer(x, training=True)).ravel()
    np.testing.assert_allclose(np.sort(outputs), [0, 1], atol=1e-3)


def test_a_regularizer_adds_a_loss():
    layer = MLP((3, 2), kernel_regularizer=keras.regularizers.L2(0.1))
    layer.build((None, 4))
    total = sum(float((keras.ops.convert_to_numpy(w.value) ** 2).sum()) for w in layer.weights[::2])
    np.testing.assert_allclose(
        sum(float(keras.ops.convert_to_numpy(loss)) for loss in layer.losses),
        0.1 * total,
        rtol=1e-5,
    )


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"units": []}, r"`units` must be a list of positive integers, not empty"),
        ({"units": [4, -1]}, r"`units` must be .*Received: units=\[4, -1\]"),
        ({"units": 4}, r"`units` must be .*Received: units=4"),
        ({"units": [4], "dropout": 1.0}, r"`dropout` must be a number in \[0, 0.999\]"),
        ({"units": [4], "epsilon": None}, r"`epsilon` must be a number"),
    ],
    ids=str,
)
def test_rejects(config, message):
    with pytest.raises(ValueError, match=message):
        MLP(**config)
