import keras
import numpy as np
import pytest

from kranking.layers import InteractingLayer
from kranking.testing import check_layer


def softmax(scores):
    exponents = np.exp(scores - scores.max(-1, keepdims=True))
    return exponents / exponents.sum(-1, keepdims=True)


def normalize(x, weights, epsilon=1e-5):
    centred = x - x.mean(-1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + epsilon)
    return scaled * weights["norm/gamma"] + weights["norm/beta"]


def oracle(x, weights, config):
    """Equations 5 to 8, head by head."""
    heads, width = config["num_heads"], config["head_dim"]
    activation = {None: lambda v: v, "relu": lambda v: np.maximum(v, 0)}

    def project(name):
        y = x @ weights[f"{name}/kernel"] + weights.get(f"{name}/bias", 0)
        return activation[config.get("projection_activation")](y)

    query, key, value = project("query"), project("key"), project("value")
    found = []
    for head in range(heads):
        part = slice(head * width, (head + 1) * width)
        scores = np.einsum("bfa,bga->bfg", query[..., part], key[..., part])
        scores = scores / np.sqrt(width) if config.get("use_scale", True) else scores
        found.append(softmax(scores) @ value[..., part])
    out = np.concatenate(found, axis=-1)
    residual = config.get("residual", "projection")
    if residual == "projection" or (residual == "identity" and x.shape[-1] != heads * width):
        out = out + project("residual")
    elif residual == "identity":
        out = out + x
    place = config.get("layer_norm", "none")
    out = np.maximum(normalize(out, weights) if place == "before" else out, 0)
    return normalize(out, weights) if place == "after" else out


@pytest.mark.parametrize(
    "config",
    [
        {"num_heads": 2, "head_dim": 3},
        {"num_heads": 2, "head_dim": 2, "residual": "identity", "use_scale": False},
        {"num_heads": 1, "head_dim": 3, "residual": "identity", "layer_norm": "before"},
        {
            "num_heads": 2,
            "head_dim": 3,
            "dropout": 0.1,
            "projection_activation": "relu",
            "layer_norm": "after",
        },
        {"num_heads": 1, "head_dim": 2, "residual": "none"},
    ],
    ids=str,
)
def test_contract(config):
    check_layer(InteractingLayer, config, (5, 3, 4), oracle)


@pytest.mark.parametrize(
    ("fields", "dim", "heads", "width"), [(10, 10, 4, 32), (3, 8, 2, 4), (39, 16, 1, 20)]
)
def test_cost(fields, dim, heads, width):
    options = {"num_heads": heads, "head_dim": width}
    shape, out = (None, fields, dim), heads * width
    work = InteractingLayer(**options).work(shape)
    assert work.parameters == 4 * dim * out
    assert work.matmul_flops == 8 * fields * dim * out + 4 * fields**2 * out
    options_of_authors = {**options, "projection_activation": "relu", "layer_norm": "after"}
    work = InteractingLayer(**options_of_authors).work(shape)
    assert work.parameters == 4 * (dim * out + out) + 2 * out
    work = InteractingLayer(**options, residual="identity").work(shape)
    projections = 3 if dim == out else 4
    assert work.parameters == projections * dim * out
    assert work.matmul_flops == 2 * projections * fields * dim * out + 4 * fields**2 * out
    assert InteractingLayer(**options, residual="none").work(shape).parameters == 3 * dim * out


def numpy(x):
    return keras.ops.convert_to_numpy(x)


def tokens(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype("float32")


def test_queries_of_zero_attend_to_all_fields_alike():
    x = tokens(2, 4, 6)
    layer = InteractingLayer(num_heads=2, head_dim=3)
    layer.build(x.shape)
    layer.projections["query"].kernel.assign(np.zeros((6, 6)))
    value, residual = (numpy(layer.projections[name](x)) for name in ("value", "residual"))
    expected = np.maximum(value.mean(1, keepdims=True) + residual, 0)
    np.testing.assert_allclose(numpy(layer(x)), expected, rtol=1e-5, atol=1e-5)


def test_a_permutation_of_the_fields_permutes_the_output():
    x, order = tokens(2, 4, 6), [2, 0, 3, 1]
    layer = InteractingLayer()
    np.testing.assert_allclose(
        numpy(layer(x))[:, order], numpy(layer(x[:, order])), rtol=1e-5, atol=1e-5
    )


def test_the_scale_is_that_of_the_queries():
    x = tokens(2, 4, 6)
    scaled, plain = InteractingLayer(1, 16), InteractingLayer(1, 16, use_scale=False)
    for layer in (scaled, plain):
        layer.build(x.shape)
    plain.set_weights(scaled.get_weights())
    assert np.abs(numpy(scaled(x)) - numpy(plain(x))).max() > 1e-3
    plain.projections["query"].kernel.assign(numpy(plain.projections["query"].kernel) / 4)
    np.testing.assert_allclose(numpy(scaled(x)), numpy(plain(x)), rtol=1e-5, atol=1e-5)


def test_dropout_is_for_training_only():
    x = tokens(2, 4, 6)
    layer = InteractingLayer(dropout=0.5)
    np.testing.assert_array_equal(numpy(layer(x)), numpy(layer(x, training=False)))
    assert np.abs(numpy(layer(x, training=True)) - numpy(layer(x))).max() > 1e-3


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"num_heads": 0}, r"`num_heads` must be a positive integer"),
        ({"head_dim": 2.0}, r"`head_dim` must be a positive integer"),
        ({"residual": True}, r"`residual` must be one of .*Received: residual=True"),
        ({"dropout": 1.0}, r"`dropout` must be a number in .*Received: dropout=1.0"),
        ({"layer_norm": "pre"}, r"`layer_norm` must be one of .*Received: layer_norm='pre'"),
    ],
    ids=str,
)
def test_rejects(config, message):
    with pytest.raises(ValueError, match=message):
        InteractingLayer(**config)


@pytest.mark.parametrize("shape", [(None, 4), (None, None, 4)])
def test_rejects_shapes(shape):
    with pytest.raises(
        ValueError, match=r"expects input of shape \(batch, tokens, dim\) with a known number"
    ):
        InteractingLayer().build(shape)
