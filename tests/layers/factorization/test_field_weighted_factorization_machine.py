from itertools import combinations

import keras
import numpy as np
import pytest

from kranking.layers import FactorizationMachine, FieldWeightedFactorizationMachine
from kranking.testing import check_layer


def oracle(x, weights, config):
    """The paper's sum over pairs, in the order (0, 1), (0, 2), …"""
    total = np.zeros((len(x), config["num_tasks"]))
    for r, (i, j) in zip(weights["pair_weights"], combinations(range(x.shape[1]), 2), strict=True):
        total += (x[:, i] * x[:, j]).sum(-1, keepdims=True) * r
    return total


@pytest.mark.parametrize(
    ("tasks", "shape"), [(1, (5, 4, 3)), (3, (4, 5, 2)), (2, (4, 2, 6))], ids=str
)
def test_contract(tasks, shape):
    check_layer(FieldWeightedFactorizationMachine, {"num_tasks": tasks}, shape, oracle)


@pytest.mark.parametrize(("fields", "dim", "tasks"), [(2, 3, 1), (10, 10, 1), (39, 16, 3)])
def test_cost(fields, dim, tasks):
    work = FieldWeightedFactorizationMachine(tasks).work((None, fields, dim))
    assert work.parameters == tasks * fields * (fields - 1) // 2
    assert work.matmul_flops == 2 * fields**2 * dim + 2 * fields**2 * tasks


def normal(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype("float32")


def values(layer, x):
    return keras.ops.convert_to_numpy(layer(x))


def test_weights_of_one_make_a_factorization_machine():
    x = normal(4, 6, 5)
    layer = FieldWeightedFactorizationMachine(2, initializer="ones")
    plain = values(FactorizationMachine(), x)
    np.testing.assert_allclose(values(layer, x), np.repeat(plain, 2, 1), rtol=1e-5, atol=1e-5)


def test_equals_the_symmetric_matrix():
    """Half of (R + Rᵀ) with an empty diagonal, whichever R the packed weights are read into."""
    x = normal(4, 5, 3)
    layer = FieldWeightedFactorizationMachine(1)
    outputs = values(layer, x)
    above = np.zeros((5, 5))
    above[np.triu_indices(5, 1)] = keras.ops.convert_to_numpy(layer.pair_weights.value)[:, 0]
    for matrix in (above, above.T, (above + above.T) / 2):
        full = np.einsum("bid,bjd,ij->b", x, x, matrix)
        np.testing.assert_allclose(outputs[:, 0], full, rtol=1e-4, atol=1e-5)


def test_a_pair_of_weight_zero_does_not_exist():
    x = normal(4, 3, 2)
    layer = FieldWeightedFactorizationMachine(1, initializer="zeros")
    layer.build((None, 3, 2))
    layer.pair_weights.assign([[0.0], [2.0], [0.0]])  # the pairs (0, 1), (0, 2), (1, 2)
    wanted = 2.0 * (x[:, 0] * x[:, 2]).sum(-1)
    np.testing.assert_allclose(values(layer, x)[:, 0], wanted, rtol=1e-5, atol=1e-6)


def test_starts_at_the_size_of_one_product():
    """The deviation of `r` is sqrt(2 / (pairs + tasks)), as FuxiCTR draws it."""
    layer = FieldWeightedFactorizationMachine(
        1, initializer=keras.initializers.GlorotNormal(seed=3)
    )
    layer.build((None, 40, 4))
    spread = np.std(keras.ops.convert_to_numpy(layer.pair_weights.value))
    np.testing.assert_allclose(spread, (2 / (40 * 39 / 2 + 1)) ** 0.5, rtol=0.1)


@pytest.mark.parametrize("value", [0, 1.5, "2", True])
def test_rejects_a_wrong_number_of_tasks(value):
    with pytest.raises(ValueError, match=r"`num_tasks` must be a positive .*Received: num_tasks="):
        FieldWeightedFactorizationMachine(num_tasks=value)


def test_rejects_one_field_and_unequal_widths_and_missing_tasks():
    with pytest.raises(ValueError, match="needs at least two fields"):
        FieldWeightedFactorizationMachine(1).build((None, 1, 4))
    with pytest.raises(ValueError, match=r"takes tokens .* of known sizes"):
        FieldWeightedFactorizationMachine(1).build([(None, 4), (None, 3)])
    with pytest.raises(ValueError, match="needs `num_tasks`; a `RankingModel` fills it in"):
        FieldWeightedFactorizationMachine().build((None, 3, 4))
