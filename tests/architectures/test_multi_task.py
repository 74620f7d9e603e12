"""MMoE and PLE: exact sizes, and what they share with the plain MLP."""

import keras
import numpy as np
import pytest

import kranking as kr
from kranking import architectures

DIMS = (3, 1, 7)
WIDTH = sum(DIMS)


def model_of(name, num_tasks, **arguments):
    features = [
        kr.features.Categorical(f"c{i}", vocabulary=(0, 1), embedding_dim=dim)
        for i, dim in enumerate(DIMS)
    ]
    tasks = [kr.Task(f"task{i}") for i in range(num_tasks)]
    return architectures.get(name).build(features, tasks, **arguments)


def own_size(name, num_tasks, **arguments):
    """The parameters behind the tables."""
    model = model_of(name, num_tasks, **arguments)
    return model.work().parameters - model.encoder.work().parameters


def mlp_size(width, *units):
    return sum(a * b + b for a, b in zip((width, *units), units))


@pytest.mark.parametrize(("tasks", "experts"), [(1, 4), (3, 2)])
def test_mmoe(tasks, experts):
    size = experts * mlp_size(WIDTH, 9, 5) + tasks * WIDTH * experts + tasks * mlp_size(5, 4, 1)
    arguments = {"num_experts": experts, "expert_units": (9, 5), "tower_units": (4,)}
    assert own_size("mmoe", tasks, **arguments) == size
    hidden = tasks * (WIDTH * 6 + 6 + 6 * experts - WIDTH * experts)
    assert own_size("mmoe", tasks, gate_units=(6,), **arguments) == size + hidden


@pytest.mark.parametrize(("tasks", "levels", "shared", "own"), [(1, 1, 1, 1), (3, 2, 2, 1)])
def test_ple(tasks, levels, shared, own):
    size, width = tasks * mlp_size(5, 4, 1), WIDTH
    for level in range(levels):
        every = tasks * own + shared
        size += every * mlp_size(width, 9, 5) + tasks * width * (own + shared)
        size += width * every if level < levels - 1 else 0
        width = 5
    arguments = {
        "num_levels": levels,
        "num_shared_experts": shared,
        "num_specific_experts": own,
        "expert_units": (9, 5),
        "tower_units": (4,),
    }
    assert own_size("ple", tasks, **arguments) == size


@pytest.mark.parametrize("name", ["mmoe", "ple"])
def test_one_row_keeps_its_batch_axis_and_the_logits_are_float32(name):
    model = model_of(name, 2, expert_units=(8,))
    x = kr.features.as_model_inputs({f"c{i}": np.zeros(1, "int32") for i in range(len(DIMS))})
    for logits in model(x).values():
        assert tuple(logits.shape) == (1, 1)
        assert keras.backend.standardize_dtype(logits.dtype) == "float32"
    assert model.blocks == ()


def test_one_expert_has_the_size_of_the_mlp():
    """But for gates that have nothing to choose."""
    arguments = {"num_experts": 1, "expert_units": (9, 5), "tower_units": ()}
    assert own_size("mmoe", 2, **arguments) == own_size("mlp", 2, units=(9, 5)) + 2 * WIDTH
