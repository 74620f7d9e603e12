from itertools import pairwise

import keras
import numpy as np
import pytest
from keras import ops

from kranking.layers import MeanHeads
from kranking.losses import SelfDistillation, TriBCE
from kranking.testing import check_layer


def parts_of(x, weights, widths):
    edges = np.cumsum([0, *widths])
    return [
        x[:, start:stop] @ weights[f"part_{i}/kernel"] + weights[f"part_{i}/bias"]
        for i, (start, stop) in enumerate(pairwise(edges))
    ]


def oracle(x, weights, config):
    widths = config.get("widths") or [x.shape[1] // config.get("num_parts", 2)] * config.get(
        "num_parts", 2
    )
    parts = parts_of(x, weights, widths)
    if config.get("fusion") != "prob":
        return np.mean(parts, axis=0)
    mean = np.mean([1 / (1 + np.exp(-z)) for z in parts], axis=0)
    return np.log(mean) - np.log1p(-mean)


@pytest.mark.parametrize(
    "config",
    [
        {"num_tasks": 2},
        {"num_tasks": 1, "widths": (1, 3, 2), "auxiliary_loss": "distillation"},
        {"num_tasks": 3, "num_parts": 3, "fusion": "prob", "auxiliary_loss": "tri_bce"},
    ],
    ids=str,
)
def test_contract(config):
    check_layer(MeanHeads, config, (5, 6), oracle)


@pytest.mark.parametrize(("tasks", "widths"), [(1, (4, 4)), (3, (400, 100)), (2, (1, 2, 3))])
def test_cost(tasks, widths):
    work = MeanHeads(tasks, widths=widths).work((None, sum(widths)))
    assert work.parameters == tasks * (sum(widths) + len(widths))
    assert work.matmul_flops == 2 * tasks * sum(widths)


def normal(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def values(tensor):
    return ops.convert_to_numpy(tensor)


def test_equal_parts_give_the_mean_whatever_is_averaged():
    x = normal((4, 3))
    for fusion in ("logit", "prob"):
        heads = MeanHeads(2, fusion=fusion)
        heads.build((None, 6))
        for dense in heads.projections:
            dense.kernel.assign(heads.projections[0].kernel)
        twice = np.concatenate([x, x], axis=1)
        np.testing.assert_allclose(
            values(heads(twice)), values(heads.part_logits(twice)["part_0"]), atol=1e-6
        )


def test_probabilities_are_averaged_where_they_saturate():
    heads = MeanHeads(1, fusion="prob", kernel_initializer="ones")
    x = np.array([[-90.0, -91.0], [80.0, 95.0], [-200.0, 200.0]], "float32")
    # log((σ(-90) + σ(-91)) / 2) = -90 + log((1 + 1/e) / 2), and the middle where parts disagree.
    expected = [-90 + np.log((1 + np.exp(-1)) / 2), 80 - np.log((1 + np.exp(-15)) / 2), 0.0]
    np.testing.assert_allclose(values(heads(x))[:, 0], expected, rtol=1e-6, atol=1e-5)


def test_auxiliary_logits_are_kept_in_training_alone():
    x = normal((4, 6))
    heads = MeanHeads(2, auxiliary_loss="tri_bce")
    assert heads.auxiliary == {}
    final = heads(x, training=True)
    assert list(heads.auxiliary) == ["part_0", "part_1"]
    mean = sum(values(part) for part in heads.auxiliary.values()) / 2
    np.testing.assert_allclose(values(final), mean, rtol=1e-5, atol=1e-6)
    heads(x)
    assert heads.auxiliary == {}
    without = MeanHeads(2)
    without(x, training=True)
    assert without.auxiliary == {}


def test_one_part_is_a_dense():
    x = normal((4, 6))
    heads = MeanHeads(2, num_parts=1)
    dense = keras.layers.Dense(2)
    heads(x), dense(x)
    dense.set_weights(heads.get_weights())
    np.testing.assert_allclose(values(heads(x)), values(dense(x)), rtol=1e-6, atol=1e-6)


def test_parts_start_apart_under_a_seed():
    heads = MeanHeads(1, kernel_initializer=keras.initializers.GlorotUniform(3))
    heads.build((None, 8))
    first, second = (values(dense.kernel) for dense in heads.projections)
    assert np.abs(first - second).max() > 1e-3


def test_auxiliary_loss_by_name_and_as_an_object():
    assert MeanHeads(1, auxiliary_loss="distillation").auxiliary_loss.weight == 1.0
    assert MeanHeads(1, auxiliary_loss="tri_bce").auxiliary_loss.stop_gradient
    given = MeanHeads(1, auxiliary_loss=TriBCE(stop_gradient=False))
    assert not MeanHeads.from_config(given.get_config()).auxiliary_loss.stop_gradient
    weak = MeanHeads(1, auxiliary_loss=SelfDistillation(0.5))
    assert MeanHeads.from_config(weak.get_config()).auxiliary_loss.weight == 0.5


@pytest.mark.parametrize("auxiliary_loss", ["tri_bce", "distillation"])
def test_it_trains_in_a_model_that_knows_nothing_of_it(auxiliary_loss):
    model = keras.Sequential([keras.Input((6,)), MeanHeads(1, auxiliary_loss=auxiliary_loss)])
    model.compile("sgd", "mse", jit_compile=False)
    x = normal((8, 6))
    model.fit(x, x[:, :1], verbose=0)
    assert model.predict(x, verbose=0).shape == (8, 1)
    assert model.layers[-1].auxiliary == {}


def test_num_tasks_may_come_before_the_build():
    heads = MeanHeads()
    heads.num_tasks = 4
    assert values(heads(normal((2, 6)))).shape == (2, 4)
    with pytest.raises(ValueError, match="needs `num_tasks`; a `RankingModel` fills it in"):
        MeanHeads().build((None, 6))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"num_tasks": 0}, r"`num_tasks` must be a positive integer or None"),
        ({"widths": (3, 0)}, r"`widths` must be a list of positive integers"),
        ({"num_parts": 1.5}, r"`num_parts` must be a positive integer or None"),
        ({"widths": (3, 3), "num_parts": 3}, r"`num_parts` must be None or the number of `widths`"),
        ({"fusion": "max"}, r"`fusion` must be one of .*Received: fusion='max'"),
        ({"auxiliary_loss": "bce"}, r"`auxiliary_loss` must be one of .*'tri_bce'"),
        ({"auxiliary_loss": 3}, r"`auxiliary_loss` must be None, one of .*or a callable"),
    ],
    ids=str,
)
def test_rejects(config, message):
    with pytest.raises(ValueError, match=message):
        MeanHeads(**config)


@pytest.mark.parametrize("config", [{"widths": (3, 2)}, {"num_parts": 4}], ids=str)
def test_parts_must_add_up(config):
    with pytest.raises(ValueError, match=r"parts that sum to the width of the input.*of width 6"):
        MeanHeads(1, **config).build((None, 6))
