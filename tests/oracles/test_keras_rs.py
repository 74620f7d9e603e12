"""keras-rs's interaction layers and ours, with equal weights; README.md says how to run this.

keras-rs is Keras 3, so both run in this process, on every backend.
"""

import keras
import numpy as np
import pytest

import kranking as kr
from kranking import interop

pytestmark = pytest.mark.extra
keras_rs = pytest.importorskip("keras_rs")
WIDTH, ROWS = 7, 16


def drawn(shape, seed):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def built(configs):
    """Gives a stack of FeatureCross with random weights, and its output on random rows."""
    x = x0 = drawn((ROWS, WIDTH), 0)
    layers = [keras_rs.layers.FeatureCross(**config) for config in configs]
    for seed, layer in enumerate(layers):
        layer(x0)  # its weights appear at the first call
        layer.set_weights([drawn(w.shape, seed + 1) / 2 for w in layer.get_weights()])
        x = layer(x0, x)
    return layers, x0, keras.ops.convert_to_numpy(x)


@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize(
    "config",
    [
        {},
        {"use_bias": False},
        {"diag_scale": 0.5},
        {"projection_dim": 3},
        {"projection_dim": 3, "use_bias": False},
    ],
    ids=str,
)
def test_feature_cross(compare, config, depth):
    """A missing bias is zeros, `diag_scale` a part of the kernel; `pre_activation` has no counterpart."""
    layers, x0, wanted = built([config] * depth)
    network = interop.from_tfrs_cross(layers)
    kind = kr.layers.LowRankCrossNetwork if "projection_dim" in config else kr.layers.CrossNetwork
    assert type(network) is kind
    assert network.depth == depth
    found = keras.ops.convert_to_numpy(network(x0))
    compare(f"keras-rs FeatureCross {config}, {depth} steps", found, wanted)


def test_where_the_nonlinearity_stands(compare):
    """`pre_activation` acts after the second factor, our `inner_activation` between both.

    Without either, one expert of a MixtureCrossNetwork with C = 1 is FeatureCross too.
    """
    layers, x0, wanted = built([{"projection_dim": 3}])
    network = kr.layers.MixtureCrossNetwork(1, num_experts=1, rank=3, inner_activation=None)
    network.build((None, WIDTH))
    down, up, bias = layers[0].get_weights()
    eye = np.eye(3, dtype="float32")
    for name, value in {"downs": down, "cores": eye, "ups": up, "biases": bias}.items():
        weight = getattr(network, name)[0]
        weight.assign(np.reshape(value, weight.shape))
    compare("keras-rs FeatureCross, one expert", keras.ops.convert_to_numpy(network(x0)), wanted)
    activated, _, other = built([{"projection_dim": 3, "pre_activation": "relu"}])
    assert np.max(np.abs(other - wanted)) > 0.1
    between = kr.layers.LowRankCrossNetwork(1, 3, inner_activation="relu")
    between.build((None, WIDTH))
    between.set_weights(activated[0].get_weights())
    assert np.max(np.abs(keras.ops.convert_to_numpy(between(x0)) - other)) > 0.1
    with pytest.raises(ValueError, match="pre_activation='relu'"):
        interop.from_tfrs_cross(activated)


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("skip", [False, True])
def test_dot_interaction(compare, own, skip):
    """The same order; with `skip_gather` keras-rs has zeros where the pairs are not."""
    tokens = drawn((ROWS, 5, WIDTH), 3)
    theirs = keras_rs.layers.DotInteraction(self_interaction=own, skip_gather=skip)
    wanted = theirs([keras.ops.convert_to_tensor(tokens[:, i]) for i in range(5)])
    wanted = keras.ops.convert_to_numpy(wanted)
    rows, columns = np.tril_indices(5, 0 if own else -1)
    if skip:
        square = wanted.reshape(ROWS, 5, 5)
        assert not square[:, ~np.tril(np.ones((5, 5), bool), 0 if own else -1)].any()
        wanted = square[:, rows, columns]
    found = kr.layers.DotInteraction(self_interaction=own)(tokens)
    name = f"keras-rs DotInteraction{', diagonal' * own}{', skip_gather' * skip}"
    compare(name, keras.ops.convert_to_numpy(found), wanted)
