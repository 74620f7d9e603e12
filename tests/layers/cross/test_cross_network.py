from itertools import pairwise

import keras
import numpy as np
import pytest

from kranking.layers import CrossNetwork, LowRankCrossNetwork
from kranking.testing import check_layer


def oracle(x, weights, config):
    """Equation 1 of the paper."""
    out = x
    for step in range(config.get("depth", 2)):
        out = x * (out @ weights[f"kernel_{step}"] + weights[f"bias_{step}"]) + out
    return out


@pytest.mark.parametrize("shape", [(5, 6), (5, 3, 6)], ids=str)
@pytest.mark.parametrize(
    "config", [{}, {"depth": 1}, {"depth": 4, "bias_initializer": "random_normal"}], ids=str
)
def test_contract(config, shape):
    check_layer(CrossNetwork, config, shape, oracle)


def test_hand_computed():
    layer = CrossNetwork(depth=1, kernel_initializer="identity")
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(layer(np.array([[2.0, 3.0]]))), [[6.0, 12.0]]
    )  # x * x + x


@pytest.mark.parametrize(("depth", "width"), [(1, 3), (3, 8), (4, 31)])
def test_cost(depth, width):
    work = CrossNetwork(depth).work((None, width))
    assert work.parameters == depth * (width**2 + width)
    assert work.matmul_flops == depth * 2 * width**2


@pytest.mark.parametrize("cls", [CrossNetwork, LowRankCrossNetwork])
def test_zero_weights_give_the_identity(cls):
    x = np.random.default_rng(0).standard_normal((4, 5)).astype("float32")
    outputs = cls(depth=3, kernel_initializer="zeros")(x)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(outputs), x)


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("cls", [CrossNetwork, LowRankCrossNetwork])
def test_is_a_polynomial_of_degree_depth_plus_one(cls, depth):
    layer = cls(depth=depth, bias_initializer=keras.initializers.RandomUniform(0, 1))
    x = np.random.default_rng(0).uniform(0.5, 1.0, (1, 5))
    values = [keras.ops.convert_to_numpy(layer(t * x)) for t in range(depth + 3)]
    differences = [np.asarray(values, "float64")]
    for _ in range(depth + 2):
        differences.append(np.stack([b - a for a, b in pairwise(differences[-1])]))
    scale = np.abs(differences[0]).max()
    assert np.abs(differences[depth + 1]).max() > 1e-3 * scale
    assert np.abs(differences[depth + 2]).max() < 1e-5 * scale


def test_equal_inputs_of_one_step_follow_the_formula():
    layer = CrossNetwork(depth=1, bias_initializer="ones")
    x = np.random.default_rng(0).standard_normal((4, 5)).astype("float32")
    outputs = keras.ops.convert_to_numpy(layer(x))
    kernel = keras.ops.convert_to_numpy(layer.kernels[0].value)
    for i in range(5):  # y_i = x_i (1 + Σ_j A_ji x_j + b_i)
        np.testing.assert_allclose(
            outputs[:, i], x[:, i] * (1 + x @ kernel[:, i] + 1), rtol=1e-5, atol=1e-5
        )


@pytest.mark.parametrize("cls", [CrossNetwork, LowRankCrossNetwork])
def test_small_terms_add_up_in_half_precision(cls):
    step = 2.0**-10  # 1 + step rounds to 1 in bfloat16; 16 steps of it do not
    layer = cls(
        depth=16,
        kernel_initializer="zeros",
        bias_initializer=keras.initializers.Constant(step),
        dtype="mixed_bfloat16",
    )
    outputs = keras.ops.cast(layer(np.ones((1, 2))), "float32")
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(outputs), 1 + 16 * step)


@pytest.mark.parametrize("cls", [CrossNetwork, LowRankCrossNetwork])
def test_a_seeded_initializer_gives_different_kernels_again_and_again(cls):
    def weights():
        layer = cls(depth=3, kernel_initializer=keras.initializers.RandomNormal(seed=3))
        layer.build((None, 32))  # the default rank, so that both factors have one shape
        return [keras.ops.convert_to_numpy(w.value) for w in layer.weights]

    first, second = weights(), weights()
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)
    kernels = [w.tobytes() for w in first if w.ndim == 2]
    assert len(set(kernels)) == len(kernels)


@pytest.mark.parametrize("value", [0, 1.5, "2", True, None])
def test_rejects_a_bad_depth(value):
    with pytest.raises(ValueError, match=r"`depth` must be a positive .*Received: depth="):
        CrossNetwork(depth=value)


def test_rejects_an_unknown_width():
    with pytest.raises(ValueError, match=r"needs a known last dimension.*Received: input_shape="):
        CrossNetwork().build((None, None))
