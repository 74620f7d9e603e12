import keras
import numpy as np
import pytest

from kranking.layers import SharedBottom
from kranking.testing import check_layer


def oracle(x, weights, config):
    units = config.get("tower_units", ())
    if not units:
        return x @ weights["logits_0/kernel"] + weights["logits_0/bias"]
    logits = []
    for task in range(config["num_tasks"]):
        h = x
        for index in range(len(units)):
            path = f"tower_{task}/dense_{index}"
            h = np.maximum(h @ weights[f"{path}/kernel"] + weights[f"{path}/bias"], 0)
        logits.append(h @ weights[f"logits_{task}/kernel"] + weights[f"logits_{task}/bias"])
    return np.concatenate(logits, axis=1)


@pytest.mark.parametrize(
    "config",
    [
        {"num_tasks": 1},
        {"num_tasks": 3},
        {"num_tasks": 1, "tower_units": (16,)},
        {"num_tasks": 3, "tower_units": (16, 16)},
    ],
    ids=str,
)
def test_contract(config):
    check_layer(SharedBottom, config, (5, 6), oracle)


@pytest.mark.parametrize(("tasks", "width", "tower"), [(1, 4, 3), (3, 9, 8), (8, 64, 32)])
def test_cost(tasks, width, tower):
    work = SharedBottom(tasks).work((None, width))
    assert work.parameters == tasks * (width + 1)
    assert work.matmul_flops == 2 * tasks * width
    work = SharedBottom(tasks, (tower,)).work((None, width))
    assert work.parameters == tasks * (width * tower + tower + tower + 1)
    assert work.matmul_flops == tasks * 2 * (width * tower + tower)


def test_towers_start_apart_under_a_seed():
    layer = SharedBottom(3, (16,), kernel_initializer=keras.initializers.HeNormal(seed=1))
    logits = keras.ops.convert_to_numpy(layer(np.ones((1, 6), "float32")))[0]
    assert len(set(logits.tolist())) == 3


def test_the_number_of_tasks_may_come_before_the_build():
    layer = SharedBottom()
    layer.num_tasks = 2
    assert tuple(layer(np.ones((4, 6), "float32")).shape) == (4, 2)
    assert SharedBottom.from_config(layer.get_config()).num_tasks == 2


def test_needs_the_number_of_tasks():
    layer = SharedBottom()
    for action in (layer.build, layer.work, layer.compute_output_shape):
        with pytest.raises(ValueError, match=r"needs `num_tasks`.*Received: num_tasks=None"):
            action((None, 6))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"num_tasks": 0}, r"`num_tasks` must be a positive integer or None"),
        ({"num_tasks": 2, "tower_units": (0,)}, r"`tower_units` must be a list of positive"),
    ],
    ids=str,
)
def test_rejects(config, message):
    with pytest.raises(ValueError, match=message):
        SharedBottom(**config)
