from itertools import combinations

import keras
import numpy as np
import pytest

from kranking.layers import CrossedFeatures
from kranking.ops import hash_pairs
from kranking.testing import check_layer


def ids(random, batch, columns=4):
    return random.integers(0, 50, (batch, columns)).astype("int32")


def oracle(x, weights, config):
    """The sum over pairs, one lookup after the other; the hash has an oracle of its own."""
    pairs = config.get("pairs", "all")
    pairs = list(combinations(range(x.shape[1]), 2)) if pairs == "all" else pairs
    out = np.zeros((len(x), config["num_tasks"]))
    for row, values in enumerate(x):
        for salt, (i, j) in enumerate(pairs):
            bucket = hash_pairs(values[i], values[j], salt, config["num_buckets"])
            out[row] += weights["table"][int(bucket)]
    return out


@pytest.mark.parametrize(
    "config",
    [
        {"num_buckets": 40, "num_tasks": 2, "initializer": "random_normal"},
        {"pairs": [(0, 2), (3, 1)], "num_buckets": 7, "num_tasks": 1},
    ],
    ids=str,
)
def test_contract(config):
    check_layer(CrossedFeatures, config, (5, 4), oracle, make_inputs=ids)


@pytest.mark.parametrize(
    ("columns", "buckets", "tasks"), [(2, 10, 1), (5, 1000, 3), (30, 10**6, 2)]
)
def test_cost(columns, buckets, tasks):
    work = CrossedFeatures(num_buckets=buckets, num_tasks=tasks).work((None, columns))
    assert (work.parameters, work.matmul_flops) == (buckets * tasks, 0)


def values(layer, x):
    return keras.ops.convert_to_numpy(layer(np.asarray(x, "int32")))


def test_pairs_never_seen_say_nothing():
    assert values(CrossedFeatures(num_tasks=1), [[1, 2, 3]]).tolist() == [[0.0]]


def test_learns_what_no_sum_over_single_columns_can():
    """Exclusive or of two columns: a weight per pair of values is all that it takes."""
    x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], "int32")
    y = np.array([[0.0], [1.0], [1.0], [0.0]], "float32")
    model = keras.Sequential([CrossedFeatures(num_buckets=1000, num_tasks=1)])
    model.compile(keras.optimizers.SGD(2.0), "mse")
    model.fit(x, y, batch_size=4, epochs=20, verbose=0)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(model(x)), y, atol=1e-3)


def test_every_pair_of_columns_has_its_own_weights():
    """Equal rows in other columns, or the other way round, are another pair."""
    layer = CrossedFeatures(pairs=[(0, 1), (2, 3)], num_buckets=10_000, num_tasks=1)
    layer.build((None, 4))
    layer.table.assign(np.random.default_rng(0).standard_normal((10_000, 1)))
    rows = values(layer, [[1, 2, 3, 4], [3, 4, 1, 2], [2, 1, 3, 4], [1, 2, 4, 3]])
    assert len(np.unique(rows)) == 4


@pytest.mark.parametrize(
    "pairs",
    [[], "some", [(0,)], [(0, 0)], [(0, -1)], [(0, 1.0)], [(0, 1), (1, 0)], [0, 1], None],
    ids=str,
)
def test_rejects_what_are_not_pairs(pairs):
    with pytest.raises(ValueError, match=r'`pairs` must be "all" or a list .*Received: pairs='):
        CrossedFeatures(pairs)


@pytest.mark.parametrize("name", ["num_buckets", "num_tasks"])
@pytest.mark.parametrize("value", [0, 1.5, "2", True])
def test_rejects(name, value):
    with pytest.raises(ValueError, match=f"`{name}` must be a positive .*Received: {name}="):
        CrossedFeatures(**{name: value})


def test_rejects_columns_that_are_not_there_and_missing_tasks():
    with pytest.raises(ValueError, match=r"must be positions of 3 columns. Received: .*\(0, 3\)"):
        CrossedFeatures([(0, 1), (0, 3)], num_tasks=1).build((None, 3))
    with pytest.raises(ValueError, match="at least two columns"):
        CrossedFeatures(num_tasks=1).build((None, 1))
    with pytest.raises(ValueError, match="needs `num_tasks`; a `RankingModel` fills it in"):
        CrossedFeatures().build((None, 3))
