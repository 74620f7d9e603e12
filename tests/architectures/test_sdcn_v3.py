"""SDCNv3: the size that its authors log, one regrouped input for both networks, numbers."""

import keras
import numpy as np
import pytest

import kranking as kr
from kranking import architectures, layers
from kranking.layers import work_of

TASKS = [kr.Task("save"), kr.Task("hide")]


def fields(dims):
    return [
        kr.features.Numeric(f"n{i}", mean=0.0, std=1.0)
        if dim == 1
        else kr.features.Categorical(f"c{i}", vocabulary=("a", "b"), embedding_dim=dim)
        for i, dim in enumerate(dims)
    ]


def dense_size(width, tasks, steps):
    """(L_D + L_S)(W²/2 + 2W) + T·2(W + 1), of an even width."""
    return steps * (width**2 // 2 + 2 * width) + tasks * 2 * (width + 1)


def test_has_the_size_of_the_authors_criteo_model():
    """Their log: 15 944 754 parameters, of them 910 747 embeddings of width 16."""
    dims = (16,) * 39
    width = sum(dims)
    total = work_of(layers.FieldHalves(dims), (None, width))
    both = [layers.ExponentialCrossNetwork(3, 0.1), layers.LinearCrossNetwork(4, 0.2)]
    total += work_of(layers.Parallel(both), (None, width))
    total += work_of(layers.MeanHeads(num_tasks=1), (None, 2 * width))
    assert total.parameters == dense_size(width, 1, 7) == 1_372_802
    assert total.parameters + 910_747 * 16 == 15_944_754
    assert total.matmul_flops == 7 * width**2 + 2 * 2 * width


@pytest.mark.parametrize("dims", [(4, 6), (8, 1, 1), (6, 6, 1, 1, 4)], ids=str)
def test_size_of_a_model(dims):
    features = fields(dims)
    model = architectures.sdcn_v3(
        features, TASKS, num_deep_cross_layers=2, num_shallow_cross_layers=3
    )
    tables = sum(3 * dim for dim in dims if dim > 1)
    assert model.count_params() == tables + dense_size(sum(dims), 2, 5)


def test_a_log_of_odd_width_builds_and_predicts():
    model = architectures.sdcn_v3(fields((4, 1, 3, 1)), TASKS)
    rows = {"c0": ["a", "b"], "n1": [0.0, 1.0], "c2": ["b", "a"], "n3": [2.0, -1.0]}
    probabilities = model.predict(model.preprocess(rows), verbose=0)
    assert np.isfinite(probabilities["save"]).all()


def test_every_number_reaches_both_networks():
    model = architectures.sdcn_v3(fields((4, 1, 1)), TASKS, num_deep_cross_layers=1)
    _, parallel = model.blocks
    assert model.blocks[0].field_dims == (4, 1, 1)
    rows = {"c0": ["a"] * 3, "n1": [0.5, 1.5, 0.5], "n2": [0.5, 0.5, 1.5]}
    x = model.preprocess(rows)
    flat = model.blocks[0](keras.ops.concatenate(list(model.encoder(x).values()), axis=-1))
    for branch in parallel.branches:
        given = keras.ops.convert_to_numpy(branch(flat))
        assert np.abs(given[1] - given[0]).max() > 1e-3
        assert np.abs(given[2] - given[0]).max() > 1e-3


def test_the_final_logit_is_the_mean_of_the_networks_logits():
    model = architectures.sdcn_v3(fields((4, 6)), TASKS)
    x = model.preprocess({"c0": ["a", "b"], "c1": ["b", "a"]})
    logits = keras.ops.convert_to_numpy(model(x)["save"])
    shut = keras.ops.convert_to_numpy(model.heads.projections[1].kernel.value)
    model.heads.projections[1].kernel.assign(np.zeros_like(shut))
    alone = keras.ops.convert_to_numpy(model(x)["save"])
    model.heads.projections[1].kernel.assign(shut)
    model.heads.projections[0].kernel.assign(np.zeros((10, 2)))
    other = keras.ops.convert_to_numpy(model(x)["save"])
    np.testing.assert_allclose(logits, alone + other, rtol=1e-4, atol=1e-6)


def test_too_few_fields_are_refused():
    with pytest.raises(
        ValueError, match=r"masks half of its input and needs a width of at least 4"
    ):
        architectures.sdcn_v3(fields((1, 1)), TASKS)


def test_embedded_numbers_start_next_to_even_odds_and_plain_ones_far_from_it():
    """The degree, 16, multiplies values of unit variance and not those of an embedding's start."""
    keras.utils.set_random_seed(0)
    cut = {"transform": "bucketize", "boundaries": (-1.0, 0.0, 1.0), "embedding_dim": 4}
    normal = np.random.default_rng(0).standard_normal((256, 16)).astype("float32")

    def size(**number):
        numbers = [kr.features.Numeric(f"n{i}", **number) for i in range(16)]
        model = architectures.sdcn_v3(numbers, TASKS)
        x = model.preprocess({f"n{i}": column for i, column in enumerate(normal.T)})
        return np.abs(keras.ops.convert_to_numpy(model(x)["save"])).mean()

    assert size(**cut) < 0.1
    assert size(transform="none") > 10
    assert size(transform="none") / size(bounds=(-0.1, 0.1), transform="none") > 1_000
