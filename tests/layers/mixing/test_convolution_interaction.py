import keras
import numpy as np
import pytest

from kranking.layers import ConvolutionInteraction
from kranking.testing import check_layer

ACTIVATIONS = {None: lambda x: x, "relu": lambda x: np.maximum(x, 0)}


def oracle(x, weights, config):
    """The picture's values one by one; what lies outside is zero."""
    kernel, (tokens, dim) = weights["kernel"][:, :, 0, 0], x.shape[1:]
    height, width = kernel.shape
    up, left = (height - 1) // 2, (width - 1) // 2
    out = np.zeros_like(x)
    for t, d in np.ndindex(tokens, dim):
        for i, j in np.ndindex(height, width):
            row, column = t + i - up, d + j - left
            if 0 <= row < tokens and 0 <= column < dim:
                out[:, t, d] += kernel[i, j] * x[:, row, column]
    return ACTIVATIONS[config.get("activation")](out + weights["bias"])


@pytest.mark.parametrize(
    ("config", "shape"),
    [
        ({}, (5, 4, 6)),
        ({"kernel_size": (2, 4), "activation": "relu"}, (4, 5, 3)),
        ({"kernel_size": (5, 1)}, (4, 2, 3)),
    ],
    ids=str,
)
def test_contract(config, shape):
    check_layer(ConvolutionInteraction, config, shape, oracle)


@pytest.mark.parametrize(
    ("size", "tokens", "dim"), [((3, 3), 10, 16), ((1, 1), 2, 3), ((5, 2), 39, 8)]
)
def test_cost(size, tokens, dim):
    work = ConvolutionInteraction(size).work((None, tokens, dim))
    assert work.parameters == size[0] * size[1] + 1
    assert work.matmul_flops == 0


def values(layer, x):
    return keras.ops.convert_to_numpy(layer(x))


def tokens(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype("float32")


@pytest.mark.parametrize("size", [(3, 3), (2, 4), (4, 1)])
def test_equals_a_convolution_with_one_filter(size):
    x = tokens(3, 5, 6)
    layer = ConvolutionInteraction(size, bias_initializer="ones")
    plain = keras.layers.Conv2D(1, size, padding="same", data_format="channels_last")
    layer.build(x.shape)
    plain.build((None, 5, 6, 1))
    plain.set_weights(layer.get_weights())
    np.testing.assert_allclose(
        values(layer, x), values(plain, x[..., None])[..., 0], rtol=1e-5, atol=1e-5
    )


def test_tokens_further_apart_than_the_kernel_do_not_meet():
    x = tokens(2, 6, 4)
    layer = ConvolutionInteraction((3, 3))
    moved = x.copy()
    moved[:, 0] += 1
    changed = np.abs(values(layer, x) - values(layer, moved)).max((0, 2)) > 1e-6
    assert changed.tolist() == [True, True, False, False, False, False]


@pytest.mark.parametrize("size", [3, (3,), (3, 3, 3), (0, 3), ("3", 3)])
def test_rejects(size):
    with pytest.raises(ValueError, match=r"`kernel_size` must be .*Received: kernel_size="):
        ConvolutionInteraction(size)


@pytest.mark.parametrize("shape", [(None, 4), (None, None, 4)])
def test_rejects_shapes(shape):
    with pytest.raises(ValueError, match=r"shape \(batch, tokens, dim\) with a known number"):
        ConvolutionInteraction().build(shape)
