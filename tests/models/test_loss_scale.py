"""Under `mixed_float16`, no looked-up row hides the overflow of an earlier one in its gradient."""

import keras
import numpy as np
import pytest

import kranking as kr

ROWS = 8
# The embedding is all there is before the float32 head: no kernel shares the overflow of its gradient.
FEATURES = [kr.features.Categorical("country", side="user", vocabulary=("DE",), embedding_dim=4)]
TASKS = [kr.Task("save")]


def model_of(optimizer="adam"):
    model = kr.RankingModel(FEATURES, [keras.layers.Identity()], TASKS, dtype="mixed_float16")
    model.compile(optimizer, weighted_metrics=None)
    return model


def rows():
    """Every row reads the same country; the first, of a huge weight, overflows the scaled gradient."""
    weights = np.ones(ROWS, "float32")
    weights[0] = 1e4
    x = {"country": np.ones(ROWS, "int32")}
    return x, {"save": np.ones((ROWS, 1), "float32")}, {"save": weights}


def optimizers():
    adam = keras.optimizers.Adam
    return [lambda: adam(1e-3), lambda: keras.optimizers.LossScaleOptimizer(adam(1e-3))]


@pytest.mark.parametrize("make", optimizers(), ids=["wrapped by Keras", "given wrapped"])
def test_a_repeated_row_does_not_hide_an_overflow(make):
    model = model_of(make())
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    x, y, weights = rows()
    losses = [
        model.train_on_batch(x, y, sample_weight=weights, return_dict=True)["loss"]
        for _ in range(30)
    ]
    assert np.isfinite(losses).all()
    assert all(np.isfinite(keras.ops.convert_to_numpy(w)).all() for w in model.weights)
    scale = float(keras.ops.convert_to_numpy(model.optimizer.dynamic_scale))
    assert 1.0 < scale < model.optimizer.initial_scale
    assert losses[-1] < losses[0]


def test_the_saved_optimizer_is_that_of_keras(tmp_path):
    model = model_of()
    x, y, weights = rows()
    model.fit(x, y, sample_weight=weights, epochs=2, verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert type(again.optimizer) is keras.optimizers.LossScaleOptimizer
    scale = keras.ops.convert_to_numpy(model.optimizer.dynamic_scale)
    assert keras.ops.convert_to_numpy(again.optimizer.dynamic_scale) == scale
    losses = again.fit(x, y, sample_weight=weights, epochs=20, verbose=0).history["loss"]
    assert np.isfinite(losses).all()


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="tf.distribute belongs to TensorFlow"
)
def test_an_overflow_on_the_second_replica_is_seen(two_replicas):
    with two_replicas.scope():
        model = model_of()
    weights = np.ones(2 * ROWS, "float32")
    weights[ROWS] = 1e4  # the first row of the second replica
    x = {"country": np.ones(2 * ROWS, "int32")}
    losses = model.fit(
        x,
        {"save": np.ones((2 * ROWS, 1), "float32")},
        sample_weight={"save": weights},
        batch_size=2 * ROWS,
        epochs=20,
        shuffle=False,
        verbose=0,
    ).history["loss"]
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0]
    scale = float(keras.ops.convert_to_numpy(model.optimizer.dynamic_scale))
    assert 1.0 < scale < model.optimizer.initial_scale
