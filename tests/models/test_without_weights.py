import keras
import numpy as np
import pytest

import kranking as kr


def planned(blocks):
    feature = kr.features.Categorical("user", vocabulary=("a", "b"), embedding_dim=4)
    with kr.models.without_weights():
        return kr.RankingModel([feature], blocks, [kr.Task("save")])


def test_work_is_the_built_models():
    model = planned([kr.layers.CrossNetwork(depth=1), kr.layers.MLP([3])])
    work = model.work()
    assert not model.built
    model.build()
    assert work == model.work()
    assert work.parameters == model.count_params()
    assert len({layer.name for layer in model.layers}) == len(model.layers)


def test_weights_come_with_the_first_use():
    model = planned([kr.layers.MLP([3])])
    rows = {"user": np.zeros(2, "int32")}
    assert model.predict(rows, verbose=0)["save"].shape == (2, 1)
    assert model.built


def test_a_plan_follows_its_blocks():
    model = planned([kr.layers.MLP([3])])
    before = model.work().parameters
    model.add(kr.layers.MLP([5]))
    after = model.work().parameters
    assert after - before == (3 * 5 + 5) + (5 - 3)
    model.build()
    assert model.count_params() == after


def test_blocks_that_do_not_fit_are_refused_at_work():
    model = planned([kr.layers.MLP([3]), kr.layers.TokenLinear(2)])
    with pytest.raises(ValueError, match="takes tokens"):
        model.work()


def test_only_inside():
    with kr.models.without_weights():
        pass
    feature = kr.features.Numeric("age", mean=0.0, std=1.0)
    assert kr.RankingModel([feature], [keras.layers.Dense(2)], [kr.Task("save")]).built
