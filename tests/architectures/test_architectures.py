"""Architectures: exact sizes, one registry, every function builds and predicts."""

import warnings

import keras
import numpy as np
import pytest

import kranking as kr
from kranking import architectures

FEATURES = [
    kr.features.Categorical("country", side="user", vocabulary=tuple("abcdefg"), embedding_dim=8),
    kr.features.Categorical("device", side="user", vocabulary=("phone", "web"), embedding_dim=4),
    kr.features.Numeric("age", side="item", mean=0.0, std=1.0),
    kr.features.Embedding("cover", dim=12, project_to=7, side="item"),
]
WIDTH = 8 + 4 + 1 + 7
VIEWS = {"flat", "tokens", "embeddings", "categorical", "fields", "ids", "linear", "numeric"}
TASKS = [kr.Task("save"), kr.Task("hide", weight=0.5)]
TABLES = 8 * 8 + 3 * 4 + 12 * 7


def mlp_size(width, *units):
    return sum(a * b + b for a, b in zip((width, *units), units))


def mask_block_size(width, inner, out):
    return width * inner + inner + inner * width + width + width * out + 2 * out


every_architecture = pytest.mark.parametrize("name", architectures.names())


def smallest(name, features=FEATURES):
    row = architectures.get(name)
    return row.build(features, TASKS, **row.smallest)


def rows_of(model, size=8):
    random = np.random.default_rng(0)
    columns = {
        "country": random.choice([*"abcdefg", "?"], size),
        "device": random.choice(["phone", "web"], size),
        "age": random.standard_normal(size),
        "cover": random.standard_normal((size, 12)),
    }
    labels = {task.name: random.integers(0, 2, size).astype("float32") for task in TASKS}
    return model.preprocess(columns), labels


@every_architecture
def test_default_costs_what_it_says(name):
    row = architectures.get(name)
    model = row.build(FEATURES, TASKS)
    assert model.name == name
    assert model.work().unknown == ()
    assert model.work().parameters == sum(
        int(np.prod(weight.shape)) for weight in model.trainable_weights
    )
    assert row.paper
    assert set(row.views) <= VIEWS


@pytest.mark.each_backend
@every_architecture
def test_predicts_also_a_single_row(name):
    model = smallest(name)
    x, _ = rows_of(model)
    together = _numpy(model(x))
    assert set(together) == {"save", "hide"}
    assert np.isfinite(together["save"]).all()
    alone = _numpy(model({key: value[:1] for key, value in x.items()}))
    for task in together:
        np.testing.assert_allclose(alone[task], together[task][:1], rtol=1e-5, atol=1e-5)


slow_on_jax = pytest.mark.slow if keras.backend.backend() == "jax" else lambda test: test


@every_architecture
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
@slow_on_jax  # which compiles each operation of an eager step
def test_mixed_precision_trains_and_stays_finite(name, policy):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        model = smallest(name)
    finally:
        keras.config.set_dtype_policy(before)
    x, labels = rows_of(model)
    model.compile("sgd", weighted_metrics=None, run_eagerly=True, jit_compile=False)
    with warnings.catch_warnings():
        # Keras's words for a weight off the path, such as the field gate's of a single field.
        warnings.filterwarnings("ignore", message="Gradients do not exist")
        assert np.isfinite(model.train_on_batch(x, labels)).all()
    for logits in model(x).values():
        assert np.isfinite(keras.ops.convert_to_numpy(logits)).all()
        assert keras.backend.standardize_dtype(logits.dtype) == "float32"
    assert {keras.backend.standardize_dtype(w.dtype) for w in model.trainable_weights} == {
        "float32"
    }


@every_architecture
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
    x = model.preprocess(
        {
            "country": ["a", "b"],
            "device": ["web", None],
            "age": [5.0, -3.0],
            "cover": np.ones((2, 12)),
        }
    )
    fields = _numpy(model.encoder(x))
    np.testing.assert_allclose(np.linalg.norm(fields["country"], axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(fields["cover"], axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(fields["age"][:, 0], [5.0, -3.0])


def _numpy(fields):
    return {name: keras.ops.convert_to_numpy(field) for name, field in fields.items()}


def test_unknown_name_suggests_the_nearest():
    with pytest.raises(ValueError, match="Did you mean 'pinterest_launch'"):
        architectures.get("pinterest_lunch")


def test_hyperparameter_needs_a_range_or_choices():
    with pytest.raises(ValueError, match="either `low` and `high`, or `choices`"):
        architectures.Hyperparameter("depth")
