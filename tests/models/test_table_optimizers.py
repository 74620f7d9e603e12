"""A `RankingModel` trained by the optimizers of tables: saved, loaded, on replicas and by XLA."""

import dataclasses
from contextlib import nullcontext

import keras
import numpy as np
import pytest

import kranking as kr
from kranking.ops._lookup_gradients import LookupGradients
from kranking.optimizers import _row_tables, _summed_slices
from kranking.optimizers.internal import row_tables

SIZE = 128
FEATURES = [
    kr.features.Categorical("user", hash_buckets=20_000, embedding_dim=4),  # large: slices
    kr.features.Categorical("country", vocabulary=("DE", "FR"), embedding_dim=3),
    kr.features.Numeric("age", mean=0.0, std=1.0),
]
OPTIMIZERS = {
    "lazy": lambda: kr.optimizers.LazyAdam(0.01),
    "rows": lambda: kr.optimizers.RowWiseAdagrad(0.01),
    "split": lambda: kr.optimizers.Split(
        kr.optimizers.RowWiseAdagrad(0.01), keras.optimizers.Adam(0.01), global_clipnorm=0.5
    ),
    "accumulation": lambda: kr.optimizers.Split(
        kr.optimizers.LazyAdam(0.01), "sgd", gradient_accumulation_steps=2
    ),
}
rng = np.random.default_rng(0)
ROWS = kr.features.as_model_inputs(
    {
        "user": rng.integers(0, 90, SIZE).astype("int32"),
        "country": rng.integers(0, 3, SIZE).astype("int32"),
        "age": rng.normal(size=SIZE).astype("float32"),
    }
)
LABELS = {"save": rng.integers(0, 2, SIZE).astype("float32")}
on_tensorflow = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="of TensorFlow's slices and strategies"
)


def trained(name, strategy=None, **options):
    keras.utils.set_random_seed(1)
    with strategy.scope() if strategy else nullcontext():
        model = kr.RankingModel(
            FEATURES, [kr.layers.MLP([4], activation="tanh")], [kr.Task("save")]
        )
        model.compile(OPTIMIZERS[name](), weighted_metrics=None, **options)
    fit(model)
    return model


def fit(model):
    model.fit(ROWS, LABELS, batch_size=32, shuffle=False, verbose=0)


def values(variables):
    return [np.array(keras.ops.convert_to_numpy(v.value)) for v in variables]


@pytest.mark.parametrize("name", ["split", "accumulation"])
def test_a_loaded_model_goes_on_as_the_saved_one(name, tmp_path):
    model = trained(name)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded.optimizer) is type(model.optimizer)
    for each in (model, loaded):
        fit(each)
    both = zip(
        values([*model.weights, *model.optimizer.variables]),
        values([*loaded.weights, *loaded.optimizer.variables]),
        strict=True,
    )
    for one, other in both:
        np.testing.assert_array_equal(one, other)


@on_tensorflow
@pytest.mark.parametrize("name", ["lazy", pytest.param("split", marks=pytest.mark.slow)])
def test_two_replicas_and_xla_train_as_one_device_does(name, two_replicas):
    expected = trained(name).weights
    for other in (trained(name, two_replicas), trained(name, jit_compile=True)):
        for one, weights in zip(values(expected), values(other.weights), strict=True):
            np.testing.assert_allclose(weights, one, atol=1e-5)


@pytest.mark.parametrize("name", ["lazy", "rows"])
def test_only_rows_of_the_batch_change(name):
    keras.utils.set_random_seed(1)
    model = kr.RankingModel(FEATURES, [kr.layers.MLP([4], activation="tanh")], [kr.Task("save")])
    model.build()
    before = values([model.encoder.tables[0]])[0]
    changed = np.abs(values([trained(name).encoder.tables[0]])[0] - before).max(axis=1) > 0
    assert set(np.flatnonzero(changed)) == set(np.asarray(ROWS["user"]))


@pytest.mark.parametrize("regularizer", [None, "l2"])
@pytest.mark.parametrize("name", ["lazy", "rows"])
def test_gradients_by_row_train_as_gradients_of_whole_tables(name, regularizer, monkeypatch):
    """A regularizer is a second reader of the table: its gradient is not lost."""
    user = dataclasses.replace(FEATURES[0], regularizer=regularizer)
    monkeypatch.setitem(globals(), "FEATURES", [user, *FEATURES[1:]])
    by_row = values(trained(name).weights)
    monkeypatch.setattr(_row_tables, "SMALL_TABLE", 10**9)
    monkeypatch.setattr(_summed_slices, "SMALL_TABLE", 10**9)
    for one, other in zip(by_row, values(trained(name).weights), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_a_step_needs_no_gradient_of_a_whole_table(monkeypatch):
    seen, of = [], LookupGradients.of
    monkeypatch.setattr(
        LookupGradients, "of", lambda self, *args: seen.append(of(self, *args)) or seen[-1]
    )
    model = trained("lazy")
    if keras.backend.backend() == "jax":  # once, when the step is compiled
        assert [ids is not None for ids, _ in seen] == [True, False]
    tables = row_tables(model.optimizer, model.trainable_variables)
    large = [t for t in tables if t.shape[0] > 20_000]
    assert len(large) == (0 if keras.backend.backend() == "tensorflow" else 1)
    if keras.backend.backend() == "torch":
        assert large[0].value.grad.is_sparse
    clipped = kr.optimizers.LazyAdam(clipnorm=1.0)
    assert row_tables(clipped, model.trainable_variables) == []


def test_callbacks_set_the_rates_of_both_parts():
    model = trained("split")
    model.optimizer.learning_rate = 0.02
    rates = [model.optimizer.tables.learning_rate, model.optimizer.dense.learning_rate]
    np.testing.assert_allclose([float(np.asarray(values([r])[0])) for r in rates], 0.02)


class OtherReader(keras.layers.Layer):
    """Adds the sum of some rows of a table to its input, looked up in some way."""

    def __init__(self, table, look_up, **kwargs):
        super().__init__(**kwargs)
        self.hidden = lambda: table  # which Keras would list as a weight of this layer too
        self.look_up = look_up

    def call(self, inputs):
        rows = keras.ops.convert_to_tensor(np.array([[1], [1], [3]], "int32"))

        def found(ids):
            return keras.ops.sum(kr.ops.take_rows(self.hidden(), ids))

        return inputs + keras.ops.sum(self.look_up(found, rows))


def in_jit(found, rows):
    if keras.backend.backend() != "jax":
        return found(rows)
    import jax

    return jax.jit(found)(rows)


@pytest.mark.parametrize(
    "look_up",
    [
        lambda found, rows: found(rows),
        lambda found, rows: found(keras.ops.cast(rows, "int16")),
        lambda found, rows: keras.ops.map(found, rows),
        lambda found, rows: keras.ops.vectorized_map(found, rows),
        lambda found, rows: keras.ops.cond(
            keras.ops.sum(rows) > 0, lambda: found(rows), lambda: 0.0
        ),
        in_jit,
    ],
    ids=["again", "int16", "loop", "vectorized", "branch", "jit"],
)
def test_lookups_inside_other_transformations(look_up, monkeypatch):
    def weights():
        keras.utils.set_random_seed(1)
        model = kr.RankingModel(FEATURES, tasks=[kr.Task("save")])
        model.build()
        model.add(OtherReader(model.encoder.tables[0], look_up))
        model.compile(kr.optimizers.LazyAdam(0.01), weighted_metrics=None)
        fit(model)
        return values(model.weights)

    by_row = weights()
    monkeypatch.setattr(_row_tables, "SMALL_TABLE", 10**9)
    monkeypatch.setattr(_summed_slices, "SMALL_TABLE", 10**9)
    for one, other in zip(by_row, weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.skipif(keras.backend.backend() == "tensorflow", reason="Keras 3.15 fails there")
def test_a_rematerialized_lookup():
    expected = values(trained("lazy").weights)
    with keras.RematScope(mode="full"):
        found = values(trained("lazy").weights)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


class Halved(kr.optimizers.RowWiseAdagrad):
    def update_step(self, gradient, variable, learning_rate):
        half = keras.ops.multiply(gradient, 0.5)
        super().update_step(half, variable, learning_rate)


def test_a_subclass_that_changes_gradients_receives_them(monkeypatch):
    monkeypatch.setitem(OPTIMIZERS, "halved", lambda: Halved(0.1))
    found = values(trained("halved").weights)
    monkeypatch.setattr(_row_tables, "SMALL_TABLE", 10**9)
    for one, other in zip(found, values(trained("halved").weights), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="Keras refuses it on other backends")
def test_a_second_model_with_the_optimizer_of_a_first_trains_its_tables():
    first, second = trained("lazy"), trained("lazy")
    before = values([second.encoder.tables[0]])[0]
    second.compile(first.optimizer, weighted_metrics=None)
    fit(second)
    assert np.abs(values([second.encoder.tables[0]])[0] - before).max() > 1e-3
