"""Architectures: exact sizes, one registry, every function builds and predicts."""

import numpy as np
import pytest

import kranking as kr
from kranking import architectures

FEATURES = [
    kr.features.Categorical("country", side="user", vocabulary=tuple("abcdefg"), embedding_dim=8),
    kr.features.Numeric("age", side="item", mean=0.0, std=1.0),
    kr.features.Embedding("cover", dim=12, project_to=7, side="item"),
]
WIDTH = 8 + 1 + 7
TASKS = [kr.Task("save"), kr.Task("hide", weight=0.5)]
TABLES = 8 * 8 + 12 * 7


def mlp_size(width, *units):
    return sum(a * b + b for a, b in zip((width, *units), units))


def mask_block_size(width, inner, out):
    return width * inner + inner + inner * width + width + width * out + 2 * out


@pytest.mark.parametrize("name", architectures.names())
def test_every_architecture_builds_and_predicts(name):
    row = architectures.get(name)
    model = row.build(FEATURES, TASKS)
    x = model.preprocess({"country": ["a", None], "age": [0.5, 2.0], "cover": np.ones((2, 12))})
    probabilities = model.predict(x, verbose=0)
    assert set(probabilities) == {"save", "hide"}
    assert np.isfinite(probabilities["save"]).all()
    assert model.work().parameters == model.count_params()
    assert model.work().unknown == ()
    assert row.paper
    assert set(row.views) <= {"flat", "tokens", "ids", "linear", "numeric"}


@pytest.mark.parametrize("name", architectures.names())
def test_hyperparameters_are_arguments_with_their_defaults(name):
    row = architectures.get(name)
    for parameter in row.hyperparameters:
        assert row.build.__kwdefaults__[parameter.name] == parameter.default


def test_baseline_has_the_size_of_figure_2a():
    model = architectures.pinterest_baseline(FEATURES, TASKS, units=(32, 16))
    expected = TABLES + 4 * (WIDTH**2 + WIDTH) + mlp_size(2 * WIDTH, 32, 16, 2)
    assert model.count_params() == expected


@pytest.mark.parametrize(("reading", "inner"), [("reduce", WIDTH // 2), ("expand", WIDTH * 2)])
def test_launch_has_the_size_of_figure_2b(reading, inner):
    model = architectures.pinterest_launch(FEATURES, TASKS, reading=reading)
    masks = 3 * (mask_block_size(WIDTH, inner, 512) + 2 * WIDTH)  # each with its LayerNorm of x
    crosses = 4 * (1536**2 + 1536)
    assert crosses == 9_443_328
    assert model.count_params() == TABLES + masks + crosses + mlp_size(1536, 512, 256, 2)


def test_presets_scale_fields_to_unit_length_but_not_numbers():
    model = architectures.pinterest_launch(FEATURES, TASKS, scale=0.05)
    x = model.preprocess({"country": ["a", "b"], "age": [5.0, -3.0], "cover": np.ones((2, 12))})
    fields = _numpy(model.encoder(x))
    np.testing.assert_allclose(np.linalg.norm(fields["country"], axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(fields["cover"], axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(fields["age"][:, 0], [5.0, -3.0])


def _numpy(fields):
    import keras

    return {name: keras.ops.convert_to_numpy(field) for name, field in fields.items()}


def test_unknown_name_suggests_the_nearest():
    with pytest.raises(ValueError, match="Did you mean 'pinterest_launch'"):
        architectures.get("pinterest_lunch")


def test_hyperparameter_needs_a_range_or_choices():
    with pytest.raises(ValueError, match="either `low` and `high`, or `choices`"):
        architectures.Hyperparameter("depth")
