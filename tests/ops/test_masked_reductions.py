import keras
import numpy as np
import pytest

from kranking.ops import masked_max, masked_mean, masked_softmax, masked_sum

REDUCTIONS = {masked_max: np.max, masked_mean: np.mean, masked_sum: np.sum}


def gradient(function, x):
    """Gives d sum(function(x)) / dx on the running backend."""

    def total(values):
        return keras.ops.sum(function(values))

    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        return np.asarray(jax.grad(total)(x))
    if backend == "torch":
        import torch

        values = torch.tensor(x, requires_grad=True)
        total(values).backward()
        return values.grad.numpy()
    import tensorflow as tf

    values = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(values)
        result = total(values)
    return tape.gradient(result, values).numpy()


@pytest.mark.parametrize("reduction", list(REDUCTIONS))
@pytest.mark.parametrize("rank", [2, 3])
def test_equals_a_loop(reduction, rank):
    random = np.random.default_rng(0)
    x = random.standard_normal((6, 5, 3)[:rank]).astype("float32")
    mask = random.random((6, 5)) < 0.5
    mask[0] = False
    wanted = [
        REDUCTIONS[reduction](row[keep], axis=0) if keep.any() else np.zeros(row.shape[1:])
        for row, keep in zip(x, mask)
    ]
    outputs = keras.ops.convert_to_numpy(reduction(x, mask))
    np.testing.assert_allclose(outputs, np.stack(wanted), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("reduction", list(REDUCTIONS))
def test_another_axis_and_a_full_mask(reduction):
    x = np.random.default_rng(0).standard_normal((4, 3, 2)).astype("float32")
    mask = np.random.default_rng(1).random((4, 3, 2)) < 0.7
    outputs = keras.ops.convert_to_numpy(reduction(x, mask, axis=2))
    swapped = reduction(x.swapaxes(1, 2), mask.swapaxes(1, 2), axis=1)
    np.testing.assert_allclose(outputs, keras.ops.convert_to_numpy(swapped), atol=1e-6)


@pytest.mark.parametrize("reduction", list(REDUCTIONS))
def test_an_empty_row_and_a_poisoned_entry_keep_the_gradient_finite(reduction):
    x = np.array([[1.0, 2.0], [3.0, np.nan], [4.0, np.inf]], "float32")
    mask = np.array([[False, False], [True, False], [True, False]])
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(reduction(x, mask)), [0, 3, 4])
    slopes = gradient(lambda values: reduction(values, mask), x)
    np.testing.assert_array_equal(slopes, [[0, 0], [1, 0], [1, 0]])


@pytest.mark.parametrize("reduction", list(REDUCTIONS))
def test_half_precision_comes_back_but_sums_in_float32(reduction):
    x = keras.ops.cast(np.full((1, 4096), 1.0, "float32"), "bfloat16")
    outputs = reduction(x, np.ones((1, 4096), "bool"))
    assert keras.backend.standardize_dtype(outputs.dtype) == "bfloat16"
    wanted = 4096.0 if reduction is masked_sum else 1.0  # a bfloat16 sum of ones stops at 256
    assert float(keras.ops.convert_to_numpy(keras.ops.cast(outputs, "float32"))[0]) == wanted


def test_softmax_equals_the_formula_and_survives_an_empty_row():
    scores = np.array([[1.0, 2.0, 300.0], [5.0, 6.0, 7.0]], "float32")
    mask = np.array([[True, True, False], [False, False, False]])
    outputs = keras.ops.convert_to_numpy(masked_softmax(scores, mask))
    share = 1 / (1 + np.e)
    np.testing.assert_allclose(outputs, [[share, 1 - share, 0], [0, 0, 0]], atol=1e-6)
    slopes = gradient(lambda values: masked_softmax(values, mask)[:, 0], scores)
    np.testing.assert_allclose(
        slopes, [[share * (1 - share), -share * (1 - share), 0], [0, 0, 0]], atol=1e-6
    )
