import keras
import numpy as np
import pytest

from kranking.ops import l2_normalize, wide


def test_gives_unit_length():
    x = np.random.default_rng(0).standard_normal((5, 7)).astype("float32") * 100
    outputs = keras.ops.convert_to_numpy(l2_normalize(x))
    np.testing.assert_allclose(outputs, x / np.linalg.norm(x, axis=1, keepdims=True), rtol=1e-5)


def test_another_axis():
    x = np.random.default_rng(0).standard_normal((5, 7)).astype("float32")
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(l2_normalize(x, axis=0)),
        keras.ops.convert_to_numpy(l2_normalize(x.T)).T,
        rtol=1e-5,
    )


def test_a_row_of_zeros_stays_zero_and_its_gradient_finite():
    """A padding row must not poison the table that it was looked up in."""
    table = keras.layers.Embedding(3, 2, embeddings_initializer="ones")
    ids = keras.Input((), dtype="int32")
    model = keras.Model(ids, keras.layers.Dense(1)(Normalize()(table(ids))))
    table.embeddings.assign([[0.0, 0.0], [3.0, 4.0], [1e-3, 0.0]])
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(l2_normalize(table.embeddings.value)),
        [[0, 0], [0.6, 0.8], [1, 0]],
        rtol=1e-6,
    )
    model.compile("sgd", "mse")
    model.fit(np.array([0, 1, 2], "int32"), np.ones((3, 1), "float32"), verbose=0)
    weights = keras.ops.convert_to_numpy(table.embeddings.value)
    assert np.isfinite(weights).all()
    np.testing.assert_array_equal(weights[0], [0, 0])


def test_nan_makes_all_of_its_vector_nan():
    values = keras.ops.convert_to_numpy(
        l2_normalize(np.array([[np.nan, 1.0], [3.0, 4.0]], "float32"))
    )
    assert np.isnan(values).tolist() == [[True, True], [False, False]]


def test_zero_stays_zero_whatever_the_threshold():
    outputs = l2_normalize(np.array([[3.0, 4.0], [0.0, 0.0]], "float32"), epsilon=0.0)
    values = keras.ops.convert_to_numpy(outputs)
    np.testing.assert_allclose(values, [[0.6, 0.8], [0, 0]], rtol=1e-6)


class Normalize(keras.layers.Layer):
    def call(self, inputs):
        return l2_normalize(inputs)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_comes_back_and_does_not_overflow(dtype):
    x = keras.ops.cast(np.array([[300.0, 400.0], [0.0, 0.0]], "float32"), dtype)
    outputs = l2_normalize(x)
    assert keras.backend.standardize_dtype(outputs.dtype) == dtype
    values = keras.ops.convert_to_numpy(keras.ops.cast(outputs, "float32"))
    np.testing.assert_allclose(values, [[0.6, 0.8], [0, 0]], rtol=1e-2)


@pytest.mark.parametrize(
    ("dtype", "wider"),
    [("float16", "float32"), ("bfloat16", "float32"), ("float32",) * 2, ("float64",) * 2],
)
def test_wide(dtype, wider):
    assert wide(dtype) == wider
