from itertools import pairwise

import keras
import numpy as np
import pytest

from kranking.layers import MLP, MultiGateMixtureOfExperts, SharedBottom
from kranking.testing import check_layer


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def network(x, weights, name, slot, hidden, end=None):
    """One network of a stack: hidden layers with ReLU, then an optional linear end."""
    for index in range(hidden + (end is not None)):
        x = x @ weights[f"{name}/dense_{index}/kernel"][slot]
        if index < hidden or end == "bias":
            x = x + weights[f"{name}/dense_{index}/bias"][slot]
        if index < hidden:
            x = np.maximum(x, 0)
    return x


def oracle(x, weights, config):
    hidden = {name: len(config.get(f"{name}_units", ())) for name in ("expert", "gate", "tower")}
    experts = [
        network(x, weights, "experts", e, hidden["expert"]) for e in range(config["num_experts"])
    ]
    logits = []
    for task in range(config["num_tasks"]):
        gate = softmax(network(x, weights, "gates", task, hidden["gate"], end="plain"))
        mixed = sum(gate[:, e : e + 1] * expert for e, expert in enumerate(experts))
        logits.append(network(mixed, weights, "towers", task, hidden["tower"], end="bias"))
    return np.concatenate(logits, axis=1)


@pytest.mark.parametrize(
    "config",
    [
        {"num_tasks": 1, "num_experts": 2, "expert_units": (8,), "tower_units": ()},
        {
            "num_tasks": 3,
            "num_experts": 4,
            "expert_units": (8, 6),
            "gate_units": (7,),
            "tower_units": (16,),
        },
    ],
    ids=str,
)
def test_contract(config):
    check_layer(MultiGateMixtureOfExperts, config, (5, 6), oracle)


def mlp_size(width, *units):
    return sum(a * b + b for a, b in zip((width, *units), units))


def products(*sizes):
    return sum(a * b for a, b in pairwise(sizes))


@pytest.mark.parametrize(
    ("tasks", "experts", "units", "gate", "tower", "width"),
    [(1, 1, (4,), (), (), 3), (3, 4, (8, 5), (), (6,), 9), (2, 8, (32,), (7, 6), (16, 8), 21)],
)
def test_cost(tasks, experts, units, gate, tower, width):
    layer = MultiGateMixtureOfExperts(tasks, experts, units, gate, tower)
    work = layer.work((None, width))
    end = (width, *gate)[-1] * experts
    assert work.parameters == (
        experts * mlp_size(width, *units)
        + tasks * (mlp_size(width, *gate) + end)
        + tasks * mlp_size(units[-1], *tower, 1)
    )
    if not gate:  # as printed: K·mlp + Σ_t W·K + towers
        assert end == width * experts
    assert work.matmul_flops == 2 * (
        experts * products(width, *units)
        + tasks * products(width, *gate, experts)
        + tasks * experts * units[-1]
        + tasks * products(units[-1], *tower, 1)
    )


def normal(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def values(layer, inputs):
    return keras.ops.convert_to_numpy(layer(inputs))


def array(weight):
    return keras.ops.convert_to_numpy(weight.value)


@pytest.mark.parametrize("tower_units", [(), (5,)], ids=str)
def test_one_expert_is_a_shared_bottom(tower_units):
    x = normal((4, 6))
    heads = MultiGateMixtureOfExperts(2, 1, (7, 3), tower_units=tower_units)
    bottom, shared = MLP([7, 3]), SharedBottom(2, tower_units)
    heads(x), shared(bottom(x))
    for stacked, single in zip(heads.experts.steps, bottom.steps, strict=True):
        single.kernel.assign(array(stacked.kernel)[0])
    *hidden, last = heads.towers.steps
    for task in range(2):
        for index, step in enumerate(hidden):
            shared.towers[task].steps[index].kernel.assign(array(step.kernel)[task])
    ends = array(last.kernel)  # (tasks, width, 1)
    for index, logits in enumerate(shared.logits):
        logits.kernel.assign(ends[index] if tower_units else ends[:, :, 0].T)
    np.testing.assert_allclose(values(heads, x), values(shared, bottom(x)), rtol=1e-5, atol=1e-5)


def test_equal_experts_leave_the_gates_nothing_to_say():
    x = normal((4, 6))
    heads = MultiGateMixtureOfExperts(2, 3, (5,), tower_units=(4,))
    heads(x)
    kernel = heads.experts.steps[0].kernel
    kernel.assign(np.stack([array(kernel)[0]] * 3))
    before = values(heads, x)
    heads.gates.steps[0].kernel.assign(normal((2, 6, 3), 1))
    np.testing.assert_allclose(values(heads, x), before, rtol=1e-5, atol=1e-5)


def test_gates_sum_to_one():
    """Experts that all give ones are mixed to ones, which a tower of ones adds up."""
    heads = MultiGateMixtureOfExperts(3, 4, (5,), tower_units=(), kernel_initializer="ones")
    heads.build((None, 6))
    heads.experts.steps[0].kernel.assign(np.zeros((4, 6, 5)))
    heads.experts.steps[0].bias.assign(np.ones((4, 5)))
    heads.gates.steps[0].kernel.assign(normal((3, 6, 4)))
    np.testing.assert_allclose(values(heads, normal((2, 6))), np.full((2, 3), 5.0), rtol=1e-5)


def test_each_task_has_a_gate_of_its_own():
    x = normal((4, 6))
    heads = MultiGateMixtureOfExperts(2, 3, (5,), tower_units=())
    before = values(heads, x)
    kernel = array(heads.gates.steps[0].kernel).copy()
    kernel[1] += 1.0 * np.arange(3)
    heads.gates.steps[0].kernel.assign(kernel)
    after = values(heads, x)
    np.testing.assert_array_equal(after[:, 0], before[:, 0])
    assert np.abs(after[:, 1] - before[:, 1]).max() > 1e-3


def test_needs_the_number_of_tasks():
    layer = MultiGateMixtureOfExperts()
    for action in (layer.build, layer.work, layer.compute_output_shape):
        with pytest.raises(ValueError, match=r"needs `num_tasks`.*Received: num_tasks=None"):
            action((None, 6))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"num_tasks": 0}, r"`num_tasks` must be a positive integer or None"),
        ({"num_experts": 0}, r"`num_experts` must be a positive .*num_experts=0"),
        ({"expert_units": ()}, r"`expert_units` must be a list of positive integers, not empty"),
        ({"gate_units": (0,)}, r"`gate_units` must be a list of positive integers"),
        ({"tower_units": 4}, r"`tower_units` must be a list of positive integers"),
    ],
    ids=str,
)
def test_rejects(config, message):
    with pytest.raises(ValueError, match=message):
        MultiGateMixtureOfExperts(**config)
