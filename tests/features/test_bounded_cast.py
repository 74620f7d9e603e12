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


@keras.saving.register_keras_serializable("bounded")
class Numbers(keras.layers.Layer):
    """Sums the numbers of a row: what the bound changes is seen in full."""

    def call(self, fields):
        return keras.ops.sum(fields, axis=-1, keepdims=True) / 1000

    def compute_output_shape(self, shape):
        return (*shape[:-1], 1)


@pytest.fixture
def half(request):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(request.param)
    numbers = [F.Numeric("a", mean=0.0, std=1.0), F.Embedding("v", dim=2)]
    yield kr.RankingModel(numbers, [Numbers()], [kr.Task("save")])
    keras.config.set_dtype_policy(before)


ROWS = {"a": [5000.0, -1e30, 2.0], "v": [[0.5, 0.25], [9e9, 1.0], [-3e4, 0.5]]}
SUMS = [1024.75, -1024.0 + 1024.0 + 1.0, 2.0 - 1024.0 + 0.5]  # each number within ±1,024


def logits(model):
    kernel, bias = (np.ravel(w) for w in model.get_weights())
    return (np.array(SUMS) / 1000) * kernel + bias


@pytest.mark.parametrize("half", ["mixed_float16"], indirect=True)
def test_a_model_trained_in_float16_keeps_the_bound_in_float32(half, tmp_path):
    keras.config.set_dtype_policy("float32")
    model = half.in_float32()
    layers = [model.encoder, *model.stack, *model.blocks]
    assert {layer.compute_dtype for layer in layers} == {"float32"}
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras", custom_objects={"Numbers": Numbers})
    expected = logits(half)
    for one in (model, again, again.in_float32()):
        found = keras.ops.convert_to_numpy(one(one.preprocess(ROWS))["save"]).ravel()
        np.testing.assert_allclose(found, expected, rtol=1e-6)
    found = keras.ops.convert_to_numpy(half(half.preprocess(ROWS))["save"]).ravel()
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=2e-3)


class Unregistered(Numbers):
    pass


@pytest.mark.parametrize("half", ["mixed_bfloat16"], indirect=True)
def test_a_model_trained_in_bfloat16_has_no_bound(half):
    half = kr.RankingModel(half.features, [Unregistered()], half.tasks)
    model = half.in_float32()
    found = model(model.preprocess({"a": [5000.0], "v": [[0.0, 0.0]]}))["save"]
    kernel, bias = (np.ravel(w) for w in half.get_weights())
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(found).ravel(), 5 * kernel + bias, rtol=1e-6
    )


@pytest.mark.once
@pytest.mark.parametrize("half", ["mixed_float16"], indirect=True)
def test_graphs_and_requests_have_the_bound(half, tmp_path):
    with pytest.raises(ValueError, match=r"Export `model\.in_float32\(\)`.*\['float16'\]"):
        kr.export.export_model(half, tmp_path / "b")
    kr.export.export_model(half.in_float32(), tmp_path / "b", num_check_rows=4)
    expected = 1 / (1 + np.exp(-logits(half)))
    bundle = kr.export.load_bundle(tmp_path / "b", threads=1)
    np.testing.assert_allclose(bundle.score(ROWS)["save"].ravel(), expected, atol=1e-6)
    inputs = bundle.predict(half.preprocess(ROWS))["save"].ravel()
    np.testing.assert_allclose(inputs, expected, atol=1e-6)
