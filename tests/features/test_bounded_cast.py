"""Numbers of a log that float16 cannot hold stay finite in a model that computes in float16."""

import keras
import numpy as np
import pytest

import kranking as kr

F = kr.features
HUGE = np.array([1e5, -3e38, 2.0, 1024.5], "float32")
VECTORS = np.array([[3e5, -4e5], [3e38, 0], [1.5, 2.0], [0, 0]], "float32")


def field(feature, values, dtype):
    encoder = F.FieldEncoder([feature], dtype=dtype)
    encoder.build()
    return keras.ops.convert_to_numpy(keras.ops.cast(encoder({"a": values})["a"], "float32"))


def test_numbers_are_bounded_in_float16_only():
    number = F.Numeric("a", mean=0.0, std=1.0)
    half = field(number, HUGE, "mixed_float16").ravel()
    np.testing.assert_array_equal(half, [1024, -1024, 2, 1024])
    np.testing.assert_array_equal(field(number, HUGE, "float32").ravel(), HUGE)
    assert np.isfinite(field(number, HUGE, "mixed_bfloat16")).all()
    assert field(number, HUGE, "mixed_bfloat16").max() > 9e4


def test_a_normalized_vector_keeps_its_direction():
    got = field(F.Embedding("a", dim=2, l2_normalize=True), VECTORS[:1], "mixed_float16")
    np.testing.assert_allclose(got, [[0.6, -0.8]], atol=1e-3)


@pytest.mark.parametrize(
    "feature", [F.Embedding("a", dim=2), F.Embedding("a", dim=2, project_to=8)]
)
def test_vectors_stay_finite(feature):
    assert np.isfinite(field(feature, VECTORS, "mixed_float16")).all()
    assert np.abs(field(feature, VECTORS, "mixed_float16")).max() > 1


def test_the_model_learns_beside_an_outlier():
    features = [F.Numeric("a", mean=0.0, std=1.0), F.Numeric("b", mean=0.0, std=1.0)]
    model = kr.RankingModel(
        features, [keras.layers.Identity()], [kr.Task("save")], dtype="mixed_float16"
    )
    model.compile(keras.optimizers.Adam(0.01), weighted_metrics=None)
    before = model.get_weights()
    x = {"a": HUGE, "b": np.ones(4, "float32")}
    for _ in range(12):
        loss = model.train_on_batch(
            x, {"save": np.array([1, 0, 1, 1], "float32")}, return_dict=True
        )
    assert np.isfinite(float(loss["loss"]))
    assert any(not np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
