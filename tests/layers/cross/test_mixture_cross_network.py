import keras
import numpy as np
import pytest

from kranking.layers import LowRankCrossNetwork, MixtureCrossNetwork
from kranking.testing import check_layer

ACTIVATIONS = {None: lambda x: x, "tanh": np.tanh}


def gates_of(x, kernel, kind):
    scores = x @ kernel
    if kind == "sigmoid":
        return 1 / (1 + np.exp(-scores))
    powers = np.exp(scores - scores.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def oracle(x, weights, config):
    """Equations 3 and 4 of the paper, one product with x₀ for each expert."""
    rank, count = config["rank"], config.get("num_experts", 4)
    activation = ACTIVATIONS[config.get("inner_activation", "tanh")]
    out = x
    for step in range(config.get("depth", 2)):
        index = step if config.get("gate_per_layer") else 0
        kernel = weights.get(f"gate_{index}", np.zeros((x.shape[-1], count)))
        gates = gates_of(out, kernel, config.get("gate", "softmax"))
        total = out
        for expert in range(count):
            part = slice(expert * rank, (expert + 1) * rank)
            inner = activation(out @ weights[f"down_{step}"][:, part])
            inner = activation(inner @ weights[f"core_{step}"][expert])
            given = x * (inner @ weights[f"up_{step}"][part] + weights[f"bias_{step}"])
            total = total + gates[..., expert : expert + 1] * given
        out = total
    return out


@pytest.mark.parametrize(
    ("config", "shape"),
    [
        ({"rank": 3}, (5, 6)),
        ({"rank": 2, "num_experts": 3, "gate": "sigmoid", "gate_per_layer": True}, (5, 3, 6)),
        ({"rank": 2, "depth": 1, "num_experts": 1, "inner_activation": None}, (5, 6)),
    ],
    ids=str,
)
def test_contract(config, shape):
    check_layer(MixtureCrossNetwork, config, shape, oracle)


@pytest.mark.parametrize(
    ("depth", "experts", "rank", "width"), [(1, 2, 2, 3), (3, 4, 4, 8), (4, 3, 8, 31)]
)
def test_cost(depth, experts, rank, width):
    per_step = experts * (2 * width * rank + rank**2) + width
    gate = width * experts
    flops = depth * (experts * (4 * width * rank + 2 * rank**2) + 2 * gate)
    shared = {"depth": depth, "num_experts": experts, "rank": rank}
    work = MixtureCrossNetwork(**shared).work((None, width))
    assert work.parameters == depth * per_step + gate
    # The gates scale vectors of width `rank`: mixing the experts' outputs would cost 2KW more.
    assert work.matmul_flops == flops
    # The experts' vectors after two products, two activations and the gates; product, output, gates.
    assert work.saved_elements == depth * (5 * experts * rank + 2 * width + experts)
    work = MixtureCrossNetwork(gate_per_layer=True, gate="sigmoid", **shared).work((None, width))
    assert work.parameters == depth * (per_step + gate)
    assert work.matmul_flops == flops


def test_one_expert_has_a_gate_only_where_it_does_something():
    work = MixtureCrossNetwork(2, num_experts=1, rank=3).work((None, 5))
    assert work.parameters == 2 * (2 * 5 * 3 + 9 + 5)
    work = MixtureCrossNetwork(2, num_experts=1, rank=3, gate="sigmoid").work((None, 5))
    assert work.parameters == 2 * (2 * 5 * 3 + 9 + 5) + 5


def normal(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def values(layer, inputs):
    return keras.ops.convert_to_numpy(layer(inputs))


def copy_expert(source, target, scale=1.0):
    """Gives every expert of `target` the weights of the only expert of `source`."""
    count, rank = target.num_experts, target.rank
    for step in range(source.depth):
        down, up = (keras.ops.convert_to_numpy(w[step].value) for w in (source.downs, source.ups))
        core = keras.ops.convert_to_numpy(source.cores[step].value)
        target.downs[step].assign(np.tile(down[:, :rank], (1, count)))
        target.cores[step].assign(np.tile(core[:1], (count, 1, 1)))
        target.ups[step].assign(np.tile(up[:rank], (count, 1)) * scale)
        target.biases[step].assign(source.biases[step])


def test_equal_experts_are_one_expert():
    x = normal((4, 5))
    one = MixtureCrossNetwork(2, num_experts=1, rank=3, bias_initializer="random_normal")
    many = MixtureCrossNetwork(2, num_experts=3, rank=3)
    one(x), many(x)
    copy_expert(one, many)
    np.testing.assert_allclose(values(one, x), values(many, x), rtol=1e-5, atol=1e-5)


def test_sigmoid_gates_scale_the_bias_by_their_sum():
    x = normal((4, 5))
    layer = MixtureCrossNetwork(
        1,
        num_experts=4,
        rank=2,
        gate="sigmoid",
        kernel_initializer="zeros",
        bias_initializer="ones",
    )
    np.testing.assert_allclose(values(layer, x), x * (4 * 0.5) + x, rtol=1e-6)


def test_a_linear_expert_with_an_identity_core_is_a_low_rank_cross_network():
    x = normal((4, 5))
    mix = MixtureCrossNetwork(2, num_experts=1, rank=3, inner_activation=None)
    low = LowRankCrossNetwork(2, rank=3)
    mix(x), low(x)
    for step in range(2):
        mix.cores[step].assign(np.eye(3)[None])
        low.downs[step].assign(mix.downs[step])
        low.ups[step].assign(mix.ups[step])
    np.testing.assert_allclose(values(mix, x), values(low, x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("gate", ["softmax", "sigmoid"])
def test_zero_kernels_give_the_identity(gate):
    x = normal((4, 5))
    layer = MixtureCrossNetwork(3, rank=2, gate=gate, kernel_initializer="zeros")
    np.testing.assert_array_equal(values(layer, x), x)


def test_experts_are_drawn_apart_and_with_the_variance_of_one():
    layer = MixtureCrossNetwork(
        1, num_experts=4, rank=8, kernel_initializer=keras.initializers.GlorotUniform(seed=3)
    )
    layer.build((None, 32))
    down, core, up = (
        keras.ops.convert_to_numpy(w[0].value) for w in (layer.downs, layer.cores, layer.ups)
    )
    experts = [*np.split(down, 4, axis=1), *core, *np.split(up, 4, axis=0)]
    assert len({expert.tobytes() for expert in experts}) == 12
    for expert in experts:
        limit = np.sqrt(6 / sum(expert.shape))
        assert 0.9 * limit < np.abs(expert).max() <= limit


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"depth": 0}, r"`depth` must be a positive integer. Received: depth=0"),
        ({"num_experts": 1.5}, r"`num_experts` must be a positive .*Received: num_experts=1.5"),
        ({"rank": "2"}, r"`rank` must be a positive integer. Received: rank='2'"),
        ({"gate": "top"}, r"`gate` must be one of .*Received: gate='top'"),
    ],
    ids=str,
)
def test_rejects(config, message):
    with pytest.raises(ValueError, match=message):
        MixtureCrossNetwork(**config)


def test_rejects_an_unknown_width():
    with pytest.raises(ValueError, match=r"needs a known last dimension.*Received: input_shape="):
        MixtureCrossNetwork().build((None, None))
