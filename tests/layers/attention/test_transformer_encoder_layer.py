import keras
import numpy as np
import pytest

from kranking.layers import TransformerEncoderLayer
from kranking.testing import check_layer

SHAPE = (5, 4, 6)
IDLE = ("key/bias",)  # softmax does not see what all keys share


def normalize(x, weights, name, epsilon=1e-5):
    centred = x - x.mean(-1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + epsilon)
    return scaled * weights[f"{name}/gamma"] + weights[f"{name}/beta"]


def dense(x, weights, name):
    return x @ weights[f"{name}/kernel"] + weights[f"{name}/bias"]


def attend(x, weights, heads, mask):
    query, key, value = (
        np.stack(np.split(dense(x, weights, name), heads, axis=-1), 1)
        for name in ("query", "key", "value")
    )
    scores = np.einsum("bhsa,bhta->bhst", query, key) / np.sqrt(x.shape[-1] // heads)
    scores = np.where(mask[:, None, None, :], scores, -np.inf)
    exponents = np.exp(scores - scores.max(-1, keepdims=True))
    weight = exponents / exponents.sum(-1, keepdims=True)
    context = np.concatenate(list(np.moveaxis(weight @ value, 1, 0)), axis=-1)
    return dense(context, weights, "attention_output")


def oracle(inputs, weights, config):
    x, mask = inputs if isinstance(inputs, list) else (inputs, np.ones(inputs.shape[:2], "bool"))
    heads = config.get("num_heads", 1)

    def feed_forward(y):
        return dense(np.maximum(dense(y, weights, "expand"), 0), weights, "contract")

    if config.get("norm_first", True):
        x = x + attend(normalize(x, weights, "norm_attention"), weights, heads, mask)
        return x + feed_forward(normalize(x, weights, "norm_feedforward"))
    x = normalize(x + attend(x, weights, heads, mask), weights, "norm_attention")
    return normalize(x + feed_forward(x), weights, "norm_feedforward")


@pytest.mark.parametrize(
    "config",
    [{}, {"num_heads": 3, "feedforward_dim": 5, "norm_first": False, "dropout": 0.1}],
    ids=str,
)
def test_contract(config):
    check_layer(TransformerEncoderLayer, config, SHAPE, oracle, idle=IDLE)


def masked_inputs(random, batch):
    tokens = random.standard_normal((batch, *SHAPE[1:])).astype("float32")
    mask = random.random((batch, SHAPE[1])) < 0.6
    mask[:, 0] = True
    return [tokens, mask]


@pytest.mark.parametrize("norm_first", [True, False])
def test_contract_with_a_mask(norm_first):
    check_layer(
        TransformerEncoderLayer,
        {"num_heads": 2, "norm_first": norm_first},
        [SHAPE, SHAPE[:2]],
        oracle,
        make_inputs=masked_inputs,
        idle=IDLE,
    )


@pytest.mark.parametrize(("tokens", "dim", "hidden"), [(3, 4, 8), (12, 8, 32), (100, 32, 17)])
def test_cost(tokens, dim, hidden):
    work = TransformerEncoderLayer(2, hidden).work((None, tokens, dim))
    assert work.parameters == 4 * dim**2 + 2 * dim * hidden + 9 * dim + hidden
    flops = tokens * (8 * dim**2 + 4 * dim * hidden) + 4 * tokens**2 * dim
    assert work.matmul_flops == flops


@pytest.mark.parametrize("norm_first", [True, False])
def test_a_permutation_of_the_tokens_permutes_the_output(norm_first):
    layer = TransformerEncoderLayer(num_heads=2, norm_first=norm_first)
    x = np.random.default_rng(0).standard_normal(SHAPE).astype("float32")
    order = [2, 0, 3, 1]
    straight, permuted = (keras.ops.convert_to_numpy(layer(v)) for v in (x, x[:, order]))
    np.testing.assert_allclose(straight[:, order], permuted, rtol=1e-5, atol=1e-5)


def test_a_row_without_a_readable_token_is_finite():
    layer = TransformerEncoderLayer()
    x = np.random.default_rng(0).standard_normal(SHAPE).astype("float32")
    outputs = keras.ops.convert_to_numpy(layer([x, np.zeros(SHAPE[:2], "bool")]))
    assert np.isfinite(outputs).all()


def test_dropout_is_for_training_only_and_seeded():
    x = np.random.default_rng(0).standard_normal(SHAPE).astype("float32")

    def outputs(training):
        layer = TransformerEncoderLayer(
            dropout=0.5, seed=1, kernel_initializer=keras.initializers.RandomNormal(seed=2)
        )
        return keras.ops.convert_to_numpy(layer(x, training=training))

    np.testing.assert_array_equal(outputs(False), outputs(False))
    np.testing.assert_array_equal(outputs(True), outputs(True))
    assert np.abs(outputs(True) - outputs(False)).max() > 1e-3


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"num_heads": 0}, r"`num_heads` must be a positive integer"),
        ({"feedforward_dim": 2.0}, r"`feedforward_dim` must be a positive integer"),
        ({"dropout": -0.1}, r"`dropout` must be a number"),
        ({"dropout": 1.0}, r"`dropout` must be a number"),
        ({"epsilon": "small"}, r"`epsilon` must be a number"),
        ({"seed": -1}, r"`seed` must be an integer of at least 0 or None"),
    ],
    ids=str,
)
def test_rejects(config, message):
    with pytest.raises(ValueError, match=message):
        TransformerEncoderLayer(**config)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((None, 4, 6), r"`num_heads` must divide the tokens' dim, 6. Received: num_heads=4"),
        (
            (None, None, 8),
            r"expects input of shape \(batch, tokens, dim\) with a known number of tokens",
        ),
        ((None, 8), r"shape \(batch, tokens, dim\)"),
    ],
)
def test_rejects_shapes(shape, message):
    with pytest.raises(ValueError, match=message):
        TransformerEncoderLayer(num_heads=4).build(shape)
