"""The space: every architecture's own rows, narrowed and widened, refused with the nearest name."""

import keras_tuner
import pytest

import kranking as kr
from kranking.search import SearchSpace


@pytest.fixture(scope="module")
def whole(log):
    return SearchSpace(kr.architectures.names(), log.features, log.tasks)


def test_every_row_of_the_registry_is_there(whole):
    wanted = {
        f"{name}/{parameter.name}"
        for name in kr.architectures.names()
        for parameter in kr.architectures.get(name).hyperparameters
    }
    assert set(whole.names()) == wanted | {"architecture", "learning_rate", "embedding_scale"}


@pytest.mark.parametrize("name", kr.architectures.names())
def test_defaults_are_the_architectures_own(whole, name):
    hp = whole.hyperparameters()
    hp.values = {"architecture": name}
    hp.ensure_active_values()
    for parameter in hp.space:
        if hp.is_active(parameter) and parameter.name != "architecture":
            hp.values[parameter.name] = parameter.default
    chosen = whole.chosen(hp)
    rows = kr.architectures.get(name).hyperparameters
    active = [r for r in rows if r.when is None or chosen.arguments.get(r.when[0]) == r.when[1]]
    assert chosen.architecture == name
    assert chosen.arguments == {row.name: row.default for row in active}
    assert chosen.tuned == len(active) + 2


def test_constants_and_calls_narrow_it(log):
    narrow = {"depth": lambda hp, name: hp.Int(name, 1, 2), "dropout": 0.25, "scale": 0.1}
    space = SearchSpace(["pinterest_launch", "dcn_v2"], log.features, log.tasks, parameters=narrow)
    assert "dcn_v2/dropout" not in space.names()
    hp = space.hyperparameters()
    depth = next(p for p in hp.space if p.name == "dcn_v2/depth")
    assert depth.max_value == 2
    assert space.chosen(hp).arguments["scale"] == 0.1
    hp.values["architecture"] = "dcn_v2"
    hp.ensure_active_values()
    assert space.chosen(hp).arguments["dropout"] == 0.25


def test_a_wider_embedding_costs_more(log):
    space = SearchSpace(["mlp"], log.features, log.tasks)
    hp = space.hyperparameters()
    before = space.cost(hp)["table_parameters"].value
    hp.values["embedding_scale"] = 2.0
    assert space.cost(hp)["table_parameters"].value == 2 * before


def test_cost_is_that_of_the_model(space):
    hp = space.hyperparameters()
    assert space.cost(hp).parameters == space(hp).count_params()


def test_it_is_a_hypermodel(space):
    tuner = keras_tuner.RandomSearch(space, "val_loss", max_trials=1, directory="unused")
    assert {p.name for p in tuner.oracle.get_space().space} == set(space.names())


def test_unknown_names_are_refused_with_the_nearest(log):
    with pytest.raises(ValueError, match="Did you mean 'masknet'"):
        SearchSpace(["maskent"], log.features, log.tasks)
    with pytest.raises(ValueError, match="Did you mean 'masknet/num_blocks'"):
        SearchSpace(["masknet"], log.features, log.tasks, parameters={"masknet/num_block": 2})
