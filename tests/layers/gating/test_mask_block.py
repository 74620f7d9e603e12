from itertools import pairwise

import keras
import numpy as np
import pytest

from kranking.layers import MaskBlock, ParallelMaskNet, SerialMaskNet
from kranking.testing import check_layer

DIMS = (4, 1, 3)
WIDTH = sum(DIMS)


def normalize(x, gamma, beta, epsilon=1e-5):
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + epsilon) * gamma + beta


def norm_embeddings(x, weights, kind, dims, prefix):
    if kind == "none":
        return x
    gamma, beta = weights[f"{prefix}norm_emb/gamma"], weights[f"{prefix}norm_emb/beta"]
    if kind == "whole":
        return normalize(x, gamma, beta)
    parts = []
    for start, stop in pairwise([0, *np.cumsum(dims)]):
        part, g, b = x[:, start:stop], gamma[start:stop], beta[start:stop]
        parts.append(part * g + b if stop - start == 1 else normalize(part, g, b))
    return np.concatenate(parts, axis=1)


def block(embeddings, masked, weights, prefix="", use_bias=False, layer_norm=True):
    """The paper's instance-guided mask and block on a vector that is normalised already."""
    w = {path.removeprefix(prefix): value for path, value in weights.items()}
    hidden = np.maximum(embeddings @ w["aggregation/kernel"] + w["aggregation/bias"], 0)
    mask = hidden @ w["projection/kernel"] + w["projection/bias"]
    out = (mask * masked) @ w["hidden/kernel"] + (w["hidden/bias"] if use_bias else 0)
    if layer_norm:
        out = normalize(out, w["norm/gamma"], w["norm/beta"])
    return np.maximum(out, 0)


def oracle(inputs, weights, config):
    options = {"use_bias": config.get("use_bias", False)}
    options["layer_norm"] = config.get("layer_norm", True)
    if isinstance(inputs, list):
        return block(*inputs, weights, **options)
    kind = config.get("ln_emb", "per_field")
    masked = norm_embeddings(inputs, weights, kind, config.get("field_dims"), "")
    return block(inputs, masked, weights, **options)


def serial_oracle(x, weights, config):
    masked = norm_embeddings(x, weights, "per_field", DIMS, "block_0/")
    for index in range(len(config["block_dims"])):
        masked = block(x, masked, weights, f"block_{index}/")
    return masked


def parallel_oracle(x, weights, config):
    outputs = []
    for index in range(config["num_blocks"]):
        masked = norm_embeddings(x, weights, "per_field", DIMS, f"block_{index}/")
        outputs.append(block(x, masked, weights, f"block_{index}/"))
    return np.concatenate(outputs, axis=1)


@pytest.mark.parametrize(
    "config",
    [
        {"field_dims": DIMS},
        {"ln_emb": "whole", "reduction_ratio": 2.0, "use_bias": True},
        {"ln_emb": "none", "aggregation_dim": 3, "layer_norm": False},
    ],
    ids=str,
)
def test_contract(config):
    check_layer(MaskBlock, {"block_dim": 6, **config}, (5, WIDTH), oracle)


def test_contract_with_a_vector_to_mask():
    config = {"block_dim": 6, "reduction_ratio": 0.5, "use_bias": True}
    check_layer(MaskBlock, config, [(5, WIDTH), (5, 4)], oracle)


@pytest.mark.parametrize("dims", [(6,), (6, 4, 5)], ids=str)
def test_serial_contract(dims):
    config = {"block_dims": dims, "field_dims": DIMS, "aggregation_dim": 5}
    check_layer(SerialMaskNet, config, (5, WIDTH), serial_oracle)


@pytest.mark.parametrize("num_blocks", [1, 3])
def test_parallel_contract(num_blocks):
    config = {"num_blocks": num_blocks, "block_dim": 6, "field_dims": DIMS, "reduction_ratio": 1.5}
    check_layer(ParallelMaskNet, config, (5, WIDTH), parallel_oracle)


def count(width, hidden, masked, output):
    """The block's parameters and FLOPs as printed: W·t + t + t·z + z + z·O + 2O."""
    parameters = width * hidden + hidden + hidden * masked + masked + masked * output + 2 * output
    return parameters, 2 * width * hidden + 2 * hidden * masked + 2 * masked * output


@pytest.mark.parametrize(("width", "ratio", "output"), [(8, 1.0, 4), (10, 2.0, 7), (9, 0.5, 16)])
def test_cost(width, ratio, output):
    hidden = int(ratio * width)
    parameters, flops = count(width, hidden, width, output)
    shared = {"reduction_ratio": ratio}
    work = MaskBlock(output, ln_emb="none", **shared).work((None, width))
    assert (work.parameters, work.matmul_flops) == (parameters, flops)
    for kind in ("per_field", "whole"):
        work = MaskBlock(output, ln_emb=kind, **shared).work((None, width))
        assert (work.parameters, work.matmul_flops) == (parameters + 2 * width, flops)
    work = MaskBlock(output, ln_emb="none", use_bias=True, **shared).work((None, width))
    assert work.parameters == parameters + output
    work = ParallelMaskNet(3, output, **shared).work((None, width))
    assert work.parameters == 3 * (parameters + 2 * width)
    assert work.matmul_flops == 3 * flops
    work = SerialMaskNet((output, 5), **shared).work((None, width))
    later = count(width, max(1, int(ratio * output)), output, 5)
    assert work.parameters == parameters + 2 * width + later[0]
    assert work.matmul_flops == flops + later[1]


def normal(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def values(layer, inputs):
    return keras.ops.convert_to_numpy(layer(inputs))


def test_a_mask_of_ones_gives_a_plain_norm_and_projection():
    x = normal((4, 6))
    layer = MaskBlock(5, ln_emb="whole")
    layer.build((None, 6))
    layer.projection.kernel.assign(np.zeros((6, 6)))
    layer.projection.bias.assign(np.ones(6))
    norm = keras.layers.LayerNormalization(epsilon=1e-5)
    dense = keras.layers.Dense(5, use_bias=False)
    dense.build((None, 6))
    dense.kernel.assign(layer.hidden.kernel)
    plain = keras.ops.relu(keras.layers.LayerNormalization(epsilon=1e-5)(dense(norm(x))))
    np.testing.assert_allclose(
        values(layer, x), keras.ops.convert_to_numpy(plain), rtol=1e-5, atol=1e-5
    )


def test_a_mask_of_zeros_gives_the_rectified_offset():
    layer = MaskBlock(3, ln_emb="none")
    layer.build((None, 6))
    layer.projection.kernel.assign(np.zeros((6, 6)))
    layer.norm.beta.assign([-1.0, 0.5, 2.0])
    np.testing.assert_allclose(values(layer, normal((2, 6))), [[0.0, 0.5, 2.0]] * 2, atol=1e-6)


def test_the_mask_reads_the_raw_embeddings():
    """LN_emb is blind to a shift of a whole field, the mask is not."""
    layer = MaskBlock(3, field_dims=(3, 3))
    layer.build((None, 6))
    x = normal((2, 6))
    shifted = x + np.array([2, 2, 2, 0, 0, 0], "float32")
    before, after = (values(layer.norm_emb, v) for v in (x, shifted))
    np.testing.assert_allclose(before, after, atol=1e-5)
    assert np.abs(values(layer, x) - values(layer, shifted)).max() > 1e-3


def test_the_embeddings_reach_the_mask_of_every_serial_block():
    net = SerialMaskNet((5, 4, 3), ln_emb="none")
    x, moved = normal((2, 6)), normal((2, 6), 1)
    net(x)
    for index in range(1, 3):
        masked = normal((2, net.block_dims[index - 1]))
        before, after = (values(net.blocks[index], [v, masked]) for v in (x, moved))
        assert np.abs(before - after).max() > 1e-3
        # In the net itself: the first block made blind, only later masks can tell the inputs apart.
    net.blocks[0].hidden.kernel.assign(np.zeros((6, 5)))
    net.blocks[0].norm.beta.assign(np.ones(5))
    assert np.abs(values(net, x) - values(net, moved)).max() > 1e-3


def test_one_parallel_block_is_one_serial_block():
    x = normal((4, WIDTH))
    serial = SerialMaskNet((6,), field_dims=DIMS)
    parallel = ParallelMaskNet(1, 6, field_dims=DIMS)
    serial(x), parallel(x)
    parallel.set_weights(serial.get_weights())
    np.testing.assert_array_equal(values(serial, x), values(parallel, x))


def test_parallel_blocks_start_apart_under_a_seed():
    net = ParallelMaskNet(3, 6, ln_emb="none", kernel_initializer=keras.initializers.HeNormal(1))
    outputs = np.split(values(net, normal((4, 6))), 3, axis=1)
    assert np.abs(outputs[0] - outputs[1]).max() > 1e-3
    assert np.abs(outputs[1] - outputs[2]).max() > 1e-3


def test_all_kernels_of_a_stack_start_apart_under_a_seed():
    initializer = keras.initializers.HeNormal(1)
    net = SerialMaskNet((4, 4), aggregation_dim=4, ln_emb="none", kernel_initializer=initializer)
    net.build((None, 4))
    kernels = [keras.ops.convert_to_numpy(w) for w in net.weights if tuple(w.shape) == (4, 4)]
    assert len(np.unique(kernels, axis=0)) == len(kernels) == 2 * 3


def test_field_dims_may_come_before_the_build():
    net = SerialMaskNet((6, 4))
    net.field_dims = DIMS
    assert values(net, normal((2, WIDTH))).shape == (2, 4)
    assert SerialMaskNet.from_config(net.get_config()).field_dims == DIMS


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"block_dim": 0}, r"`block_dim` must be a positive integer. Received: block_dim=0"),
        ({"reduction_ratio": 0}, r"`reduction_ratio` must be a number in .*Received"),
        ({"reduction_ratio": "2"}, r"`reduction_ratio` must be a number .*Received: .*='2'"),
        ({"aggregation_dim": 1.5}, r"`aggregation_dim` must be a positive integer or None"),
        ({"reduction_ratio": 1.0, "aggregation_dim": 4}, r"both set the mask.*pass one"),
        ({"ln_emb": "field"}, r"`ln_emb` must be one of .*Received: ln_emb='field'"),
        ({"epsilon": -1.0}, r"`epsilon` must be a number"),
        ({"field_dims": (0,)}, r"`field_dims` must be a list of positive integers"),
    ],
    ids=str,
)
@pytest.mark.parametrize("cls", [MaskBlock, ParallelMaskNet])
def test_rejects(cls, config, message):
    with pytest.raises(ValueError, match=message):
        cls(**{"block_dim": 4, **config})


@pytest.mark.parametrize("dims", [(), (4, 0), 4, ("4",)])
def test_serial_rejects(dims):
    with pytest.raises(ValueError, match=r"`block_dims` must be a list of positive integers"):
        SerialMaskNet(dims)


@pytest.mark.parametrize("cls", [MaskBlock, ParallelMaskNet])
def test_the_norm_per_field_wants_the_fields(cls):
    with pytest.raises(ValueError, match=r"needs `field_dims`.*`ln_emb='whole'`"):
        cls(block_dim=4).build((None, 6))


def test_rejects_three_inputs():
    with pytest.raises(ValueError, match=r"takes the embeddings, or a list of the embeddings and"):
        MaskBlock(4).build([(None, 6)] * 3)
