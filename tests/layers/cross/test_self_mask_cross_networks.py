import keras
import numpy as np
import pytest

from kranking.layers import ExponentialCrossNetwork, LinearCrossNetwork
from kranking.testing import check_layer

BOTH = (ExponentialCrossNetwork, LinearCrossNetwork)


def normalize(x, gamma, beta, epsilon=1e-5):
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + epsilon) * gamma + beta


def factor(x, weights, step, layer_norm):
    """What multiplies: the projection, and beside it as much of its masked self as fits."""
    half = x @ weights[f"kernel_{step}"]
    masked = half[..., : x.shape[-1] // 2]
    mask = masked
    if layer_norm:
        mask = normalize(masked, weights[f"norm_{step}/gamma"], weights[f"norm_{step}/beta"])
    return np.concatenate([half, masked * np.maximum(mask, 0)], -1) + weights[f"bias_{step}"]


def exponential(x, weights, config):
    for step in range(config.get("depth", 3)):
        x = x * factor(x, weights, step, config.get("layer_norm", True)) + x
    return x


def linear(x, weights, config):
    out = x
    for step in range(config.get("depth", 3)):
        out = x * factor(out, weights, step, config.get("layer_norm", True)) + out
    return out


@pytest.mark.parametrize(
    ("config", "shape"),
    [({"depth": 2}, (5, 6)), ({"depth": 1, "layer_norm": False}, (5, 2, 7))],
    ids=str,
)
def test_exponential_contract(config, shape):
    check_layer(ExponentialCrossNetwork, config, shape, exponential)


@pytest.mark.parametrize(
    ("config", "shape"),
    [
        ({"depth": 2, "bias_initializer": "random_uniform"}, (5, 2, 6)),
        ({"depth": 1, "layer_norm": False, "dropout": 0.2, "seed": 1}, (5, 7)),
    ],
    ids=str,
)
def test_linear_contract(config, shape):
    check_layer(LinearCrossNetwork, config, shape, linear)


@pytest.mark.parametrize("cls", BOTH)
@pytest.mark.parametrize(("depth", "width"), [(1, 4), (3, 16), (4, 624)])
def test_cost(cls, depth, width):
    work = cls(depth).work((None, width))
    assert work.parameters == depth * (width**2 // 2 + 2 * width)
    assert work.matmul_flops == depth * width**2
    plain = cls(depth, layer_norm=False).work((None, width))
    assert plain.parameters == depth * (width**2 // 2 + width)


@pytest.mark.parametrize("cls", BOTH)
def test_cost_of_an_odd_width(cls):
    work = cls(2).work((None, 7))
    assert work.parameters == 2 * (7 * 4 + 7 + 2 * 3)
    assert work.matmul_flops == 2 * 2 * 7 * 4


def values(layer, inputs):
    return keras.ops.convert_to_numpy(layer(inputs))


def normal(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


@pytest.mark.parametrize(("cls", "degree"), [(ExponentialCrossNetwork, 4), (LinearCrossNetwork, 3)])
def test_the_degree_without_mask_and_bias(cls, degree):
    """Two steps: 2^2 against 2 + 1."""
    layer = cls(depth=2, kernel_initializer=keras.initializers.Constant(0.3))
    x = np.random.default_rng(0).uniform(0.5, 1.0, (1, 6))
    layer.build((None, 6))
    for norm in layer.norms:
        norm.gamma.assign(np.zeros(3))
        norm.beta.assign(np.full(3, -1.0))
    found = np.stack([values(layer, t * x) for t in range(degree + 2)]).astype("float64")
    scale = np.abs(found).max()
    assert np.abs(np.diff(found, degree, axis=0)).max() > 1e-3 * scale
    assert np.abs(np.diff(found, degree + 1, axis=0)).max() < 1e-5 * scale


@pytest.mark.parametrize("cls", BOTH)
def test_zero_weights_give_the_identity(cls):
    x = normal((4, 6))
    np.testing.assert_array_equal(values(cls(3, kernel_initializer="zeros"), x), x)


def test_one_step_of_both_is_the_same():
    x = normal((4, 6))
    one, other = (cls(1) for cls in BOTH)
    one(x), other(x)
    other.set_weights(one.get_weights())
    np.testing.assert_array_equal(values(one, x), values(other, x))


@pytest.mark.parametrize("cls", BOTH)
def test_the_mask_lets_about_half_of_the_projection_through(cls):
    layer = cls(1)
    x = normal((64, 40))
    layer(x)
    projected = x @ keras.ops.convert_to_numpy(layer.kernels[0].value)
    masked = (values(layer, x) / x - 1)[:, 20:]
    share = masked / projected
    assert share.min() > -1e-4  # a mask is never negative
    assert 0.4 < (share > 1e-4).mean() < 0.6


@pytest.mark.parametrize("cls", BOTH)
def test_dropout_follows_every_step_and_only_in_training(cls):
    x = np.ones((64, 50), "float32")
    layer = cls(2, dropout=0.5, seed=3, kernel_initializer="zeros")
    np.testing.assert_array_equal(values(layer, x), x)
    dropped = keras.ops.convert_to_numpy(layer(x, training=True))
    # With zero kernels a step only drops and scales: twice kept is 4, once lost is 0.
    assert set(np.unique(dropped)) == {0.0, 4.0}
    assert abs((dropped == 0).mean() - 0.75) < 0.05


@pytest.mark.parametrize("cls", BOTH)
def test_small_terms_add_up_in_half_precision(cls):
    step = 2.0**-10  # 1 + step rounds to 1 in bfloat16; 16 steps of it do not
    layer = cls(
        depth=16,
        kernel_initializer="zeros",
        bias_initializer=keras.initializers.Constant(step),
        dtype="mixed_bfloat16",
    )
    outputs = keras.ops.cast(layer(np.ones((1, 4))), "float32")
    assert keras.ops.convert_to_numpy(outputs).min() >= 1 + 16 * step


@pytest.mark.parametrize("cls", BOTH)
@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"depth": 0}, r"`depth` must be a positive integer. Received: depth=0"),
        ({"dropout": 1.0}, r"`dropout` must be a number in .*Received: dropout=1.0"),
        ({"epsilon": -1.0}, r"`epsilon` must be a number .*Received: epsilon=-1.0"),
        ({"seed": 0.5}, r"`seed` must be .*Received: seed=0.5"),
    ],
    ids=str,
)
def test_rejects(cls, config, message):
    with pytest.raises(ValueError, match=message):
        cls(**config)


@pytest.mark.parametrize("cls", BOTH)
def test_rejects_widths_too_small_for_a_mask(cls):
    with pytest.raises(
        ValueError, match=r"needs a width of at least 4. Received: input_shape=\(None, 3\)"
    ):
        cls().build((None, 3))
    with pytest.raises(ValueError, match=r"needs a known last dimension"):
        cls().build((None, None))
