import keras
import numpy as np
import pytest

from kranking.layers import MultiGateMixtureOfExperts, ProgressiveLayeredExtraction
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


def mix(gate, experts):
    assert gate.shape[1] == len(experts)
    return sum(gate[:, e : e + 1] * expert for e, expert in enumerate(experts))


def oracle(x, weights, config):
    """Task by task, expert by expert, as the paper draws it."""
    tasks = config["num_tasks"]
    own_count, shared_count = config.get("num_specific_experts", 1), config["num_shared_experts"]
    depth, gate_depth = len(config["expert_units"]), len(config.get("gate_units", ()))
    levels = config.get("num_levels", 1)
    task_in, shared_in = [x] * tasks, x
    for level in range(levels):
        at = f"level_{level}"
        shared = [
            network(shared_in, weights, f"{at}/shared", e, depth) for e in range(shared_count)
        ]
        every, task_out = [], []
        for task in range(tasks):
            own = [
                network(task_in[task], weights, f"{at}/specific", task * own_count + e, depth)
                for e in range(own_count)
            ]
            every += own
            gate = network(task_in[task], weights, f"{at}/gates", task, gate_depth, end="plain")
            task_out.append(mix(softmax(gate), own + shared))
        if level < levels - 1:
            gate = network(shared_in, weights, f"{at}/shared_gate", 0, gate_depth, end="plain")
            shared_in = mix(softmax(gate), every + shared)
        task_in = task_out
    hidden = len(config.get("tower_units", ()))
    logits = [network(task_in[t], weights, "towers", t, hidden, end="bias") for t in range(tasks)]
    return np.concatenate(logits, axis=1)


@pytest.mark.parametrize(
    "config",
    [
        {"num_tasks": 2, "num_shared_experts": 1, "expert_units": (9, 8), "tower_units": (16,)},
        {
            "num_tasks": 3,
            "num_levels": 2,
            "num_shared_experts": 3,
            "num_specific_experts": 2,
            "expert_units": (8,),
            "gate_units": (7,),
            "tower_units": (),
        },
    ],
    ids=["one level", "two levels"],
)
def test_contract(config):
    check_layer(ProgressiveLayeredExtraction, config, (5, 6), oracle)


def mlp_size(width, *units):
    return sum(a * b + b for a, b in zip((width, *units), units))


@pytest.mark.parametrize(
    ("tasks", "levels", "shared", "own", "units", "width"),
    [(1, 1, 1, 1, (4,), 3), (3, 2, 2, 1, (8, 5), 9), (2, 3, 1, 4, (6,), 21), (4, 2, 3, 0, (5,), 8)],
)
def test_cost(tasks, levels, shared, own, units, width):
    layer = ProgressiveLayeredExtraction(tasks, levels, shared, own, units, tower_units=(7,))
    work = layer.work((None, width))
    parameters = products = 0
    inner = width
    for level in range(levels):
        experts, every = tasks * own + shared, tasks * own + shared
        gates = tasks * (own + shared) + (every if level < levels - 1 else 0)
        parameters += experts * mlp_size(inner, *units) + inner * gates
        sizes = (inner, *units)
        products += experts * sum(a * b for a, b in zip(sizes, units))
        products += inner * gates + gates * units[-1]
        inner = units[-1]
    assert work.parameters == parameters + tasks * mlp_size(inner, 7, 1)
    assert work.matmul_flops == 2 * (products + tasks * (inner * 7 + 7))


def normal(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def values(layer, inputs):
    return keras.ops.convert_to_numpy(layer(inputs))


def array(weight):
    return keras.ops.convert_to_numpy(weight.value)


def test_levels_of_shared_experts_alone_equal_the_oracle():
    config = {"num_tasks": 2, "num_levels": 3, "num_shared_experts": 2, "num_specific_experts": 0}
    config |= {"expert_units": (8,), "tower_units": ()}
    ple = ProgressiveLayeredExtraction(**config)
    x = normal((4, 6))
    outputs = values(ple, x)
    weights = {weight.path.partition("/")[2]: array(weight) for weight in ple.weights}
    np.testing.assert_allclose(outputs, oracle(x, weights, config), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("gate_units", [(), (5,)], ids=str)
def test_one_level_of_shared_experts_is_mmoe(gate_units):
    x = normal((4, 6))
    shared = {"expert_units": (7, 3), "gate_units": gate_units, "tower_units": (4,)}
    ple = ProgressiveLayeredExtraction(2, 1, 3, 0, **shared)
    mmoe = MultiGateMixtureOfExperts(2, 3, **shared)
    ple(x), mmoe(x)
    assert ple.count_params() == mmoe.count_params()
    level = ple.levels[0].stacks
    pairs = zip(
        (mmoe.experts, mmoe.gates, mmoe.towers), (level["shared"], level["gates"], ple.towers)
    )
    for theirs, ours in pairs:
        theirs.set_weights(ours.get_weights())
    np.testing.assert_allclose(values(ple, x), values(mmoe, x), rtol=1e-5, atol=1e-5)


def test_gates_sum_to_one_at_every_level():
    """Experts that all give ones are mixed to ones, which a tower of ones adds up."""
    ple = ProgressiveLayeredExtraction(2, 2, 3, 2, expert_units=(5,), tower_units=())
    ple.build((None, 6))
    for level in ple.levels:
        for name in ("shared", "specific"):
            (step,) = level.stacks[name].steps
            step.kernel.assign(np.zeros(step.kernel.shape))
            step.bias.assign(np.ones(step.bias.shape))
    ple.towers.steps[0].kernel.assign(np.ones((2, 5, 1)))
    np.testing.assert_allclose(values(ple, normal((3, 6))), np.full((3, 2), 5.0), rtol=1e-5)


def test_a_task_does_not_read_the_experts_of_another_in_one_level():
    x = normal((4, 6))
    ple = ProgressiveLayeredExtraction(2, expert_units=(5,), tower_units=())
    before = values(ple, x)
    (step,) = ple.levels[0].stacks["specific"].steps
    kernel = array(step.kernel).copy()
    kernel[1] = normal((6, 5), 1)
    step.kernel.assign(kernel)
    after = values(ple, x)
    np.testing.assert_array_equal(after[:, 0], before[:, 0])
    assert np.abs(after[:, 1] - before[:, 1]).max() > 1e-3


def test_the_shared_gate_reads_the_experts_of_every_task():
    """Two levels: what is learned for one task reaches another by the shared experts of level 2."""
    x = normal((4, 6))
    ple = ProgressiveLayeredExtraction(2, 2, expert_units=(16,), tower_units=())
    before = values(ple, x)
    (step,) = ple.levels[0].stacks["specific"].steps
    kernel = array(step.kernel).copy()
    kernel[1] = normal((6, 16), 1)
    step.kernel.assign(kernel)
    assert np.abs(values(ple, x)[:, 0] - before[:, 0]).max() > 1e-3


def test_the_last_level_has_no_shared_gate():
    ple = ProgressiveLayeredExtraction(2, 3, expert_units=(4,), tower_units=())
    ple.build((None, 6))
    assert ["shared_gate" in level.stacks for level in ple.levels] == [True, True, False]


def test_needs_the_number_of_tasks():
    layer = ProgressiveLayeredExtraction()
    for action in (layer.build, layer.work, layer.compute_output_shape):
        with pytest.raises(ValueError, match=r"needs `num_tasks`.*Received: num_tasks=None"):
            action((None, 6))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"num_tasks": 0}, r"`num_tasks` must be a positive integer or None"),
        ({"num_levels": 0}, r"`num_levels` must be a positive .*num_levels=0"),
        ({"num_shared_experts": 0}, r"`num_shared_experts` must be a positive integer"),
        ({"num_specific_experts": -1}, r"`num_specific_experts` must be an integer of at least 0"),
        ({"expert_units": ()}, r"`expert_units` must be a list of positive integers, not empty"),
        ({"gate_units": (0,)}, r"`gate_units` must be a list of positive integers"),
        ({"tower_units": 4}, r"`tower_units` must be a list of positive integers"),
    ],
    ids=str,
)
def test_rejects(config, message):
    with pytest.raises(ValueError, match=message):
        ProgressiveLayeredExtraction(**config)
