import math

import keras
import numpy as np
import pytest

from kranking.layers import (
    HeterogeneousTransformerLayer,
    HiformerLayer,
    TransformerEncoderLayer,
)
from kranking.testing import check_layer

BOTH = pytest.mark.parametrize("cls", [HeterogeneousTransformerLayer, HiformerLayer])
ACTIVATIONS = {
    "relu": lambda x: np.maximum(x, 0),
    "gelu": lambda x: x * (1 + np.vectorize(math.erf)(x / np.sqrt(2))) / 2,
}


def normalize(x, weights, name, epsilon=1e-5):
    centred = x - x.mean(-1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + epsilon)
    return scaled * weights[f"{name}/gamma"] + weights[f"{name}/beta"]


def composite(x, weights, name, heads):
    """`vec(X) K̂`, head by head, as (batch, tokens, dim)."""
    batch, tokens, dim = x.shape
    flat = x.reshape(batch, tokens * dim)
    if f"{name}/kernel/kernel" in weights:
        return (flat @ weights[f"{name}/kernel/kernel"]).reshape(x.shape)
    down = np.split(flat @ weights[f"{name}/down/kernel"], heads, axis=1)
    parts = [a @ b for a, b in zip(down, weights[f"{name}/up/kernel"], strict=True)]
    return np.concatenate([p.reshape(batch, tokens, dim // heads) for p in parts], axis=2)


def attend(x, weights, config, queries):
    """Token by token and head by head."""
    tokens, dim = x.shape[1:]
    heads = config.get("num_heads", 1)
    width = dim // heads
    if "key/kernel" in weights:
        key, value = (
            np.stack([x[:, j] @ weights[f"{name}/kernel"][j] for j in range(tokens)], axis=1)
            for name in ("key", "value")
        )
    else:
        key, value = (composite(x, weights, name, heads) for name in ("key", "value"))
    outputs = []
    for slot in range(queries):
        query = x[:, tokens - queries + slot] @ weights["query/kernel"][slot]
        found = []
        for head in range(heads):
            part = slice(head * width, (head + 1) * width)
            scores = np.einsum("ba,bja->bj", query[:, part], key[:, :, part]) / np.sqrt(width)
            weight = np.exp(scores - scores.max(1, keepdims=True))
            weight = weight / weight.sum(1, keepdims=True)
            found.append(np.einsum("bj,bja->ba", weight, value[:, :, part]))
        outputs.append(np.concatenate(found, 1) @ weights["attention_output/kernel"][slot])
    return np.stack(outputs, axis=1)


def oracle(x, weights, config):
    queries = config.get("num_queries") or x.shape[1]
    activation = ACTIVATIONS[config.get("activation", "gelu")]
    last = x[:, x.shape[1] - queries :]

    def feed_forward(u):
        w = weights
        outputs = []
        for i in range(queries):
            hidden = activation(u[:, i] @ w["expand/kernel"][i] + w["expand/bias"][i])
            outputs.append(hidden @ w["contract/kernel"][i] + w["contract/bias"][i])
        return np.stack(outputs, axis=1)

    if config.get("norm_first", True):
        u = last + attend(normalize(x, weights, "norm_attention"), weights, config, queries)
        return u + feed_forward(normalize(u, weights, "norm_feedforward"))
    u = normalize(last + attend(x, weights, config, queries), weights, "norm_attention")
    return normalize(u + feed_forward(u), weights, "norm_feedforward")


@pytest.mark.parametrize(
    "config",
    [{"feedforward_dim": 5}, {"num_heads": 2, "norm_first": False, "num_queries": 2}],
    ids=str,
)
def test_contract(config):
    check_layer(HeterogeneousTransformerLayer, config, (4, 3, 4), oracle)


@pytest.mark.parametrize(
    "config",
    [
        {"num_heads": 2, "feedforward_dim": 5},
        {"num_heads": 2, "rank": 3, "norm_first": False, "activation": "relu"},
        {"rank": 2, "num_queries": 1},
    ],
    ids=str,
)
def test_hiformer_contract(config):
    check_layer(HiformerLayer, config, (4, 3, 4), oracle)


SIZES = pytest.mark.parametrize(
    ("tokens", "dim", "heads", "hidden"), [(3, 4, 2, 8), (12, 8, 1, 32), (40, 32, 4, 17)]
)


@SIZES
def test_cost(tokens, dim, heads, hidden):
    work = HeterogeneousTransformerLayer(heads, hidden).work((None, tokens, dim))
    networks = tokens * (2 * dim * hidden + hidden + dim)
    assert work.parameters == tokens * 4 * dim**2 + networks + 4 * dim
    flops = tokens * 8 * dim**2 + 4 * tokens**2 * dim + tokens * 4 * dim * hidden
    assert work.matmul_flops == flops


@SIZES
@pytest.mark.parametrize("rank", [None, 3])
def test_hiformer_cost(tokens, dim, heads, hidden, rank):
    work = HiformerLayer(heads, hidden, rank).work((None, tokens, dim))
    width = dim // heads
    full = heads * tokens**2 * dim * width
    reader = full if rank is None else heads * rank * tokens * (dim + width)
    networks = tokens * (2 * dim * hidden + hidden + dim)
    assert work.parameters == 2 * tokens * dim**2 + 2 * reader + networks + 4 * dim
    flops = 4 * tokens * dim**2 + 4 * reader + 4 * tokens**2 * dim + 4 * tokens * dim * hidden
    assert work.matmul_flops == flops


@SIZES
def test_cost_of_fewer_queries(tokens, dim, heads, hidden):
    work = HeterogeneousTransformerLayer(heads, hidden, num_queries=2).work((None, tokens, dim))
    networks = 2 * (2 * dim * hidden + hidden + dim)
    assert work.parameters == (2 * 2 + 2 * tokens) * dim**2 + networks + 4 * dim
    flops = (2 + tokens) * 4 * dim**2 + 4 * 2 * tokens * dim + 2 * 4 * dim * hidden
    assert work.matmul_flops == flops


def numpy(x):
    return keras.ops.convert_to_numpy(x)


def tokens_of(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype("float32")


@pytest.mark.parametrize("norm_first", [True, False])
def test_equal_weights_for_all_tokens_make_a_plain_transformer(norm_first):
    x = tokens_of(4, 3, 6)
    options = {"num_heads": 2, "feedforward_dim": 5, "norm_first": norm_first}
    plain = TransformerEncoderLayer(activation="gelu", **options)
    layer = HeterogeneousTransformerLayer(**options)
    plain.build(x.shape)
    layer.build(x.shape)
    for name in ("query", "key", "value", "attention_output", "expand", "contract"):
        dense, stacked = getattr(plain, name), getattr(layer, name)
        stacked.kernel.assign(np.stack([numpy(dense.kernel)] * 3))
        if stacked.bias is not None:
            bias = np.arange(dense.bias.shape[0]) / 10
            dense.bias.assign(bias)
            stacked.bias.assign(np.stack([bias] * 3))
    np.testing.assert_allclose(numpy(layer(x)), numpy(plain(x)), rtol=1e-5, atol=1e-5)


def test_block_diagonal_kernels_make_the_heterogeneous_layer():
    x, (tokens, dim) = tokens_of(4, 3, 6), (3, 6)
    plain, layer = HeterogeneousTransformerLayer(2, 5), HiformerLayer(2, 5)
    plain.build(x.shape)
    layer.build(x.shape)
    for name in ("query", "attention_output", "expand", "contract"):
        getattr(layer, name).set_weights(getattr(plain, name).get_weights())
    for name in ("key", "value"):
        kernel = np.zeros((tokens, dim, tokens, dim))
        for token, block in enumerate(numpy(getattr(plain, name).kernel)):
            kernel[token, :, token] = block
        getattr(layer, name).set_weights([kernel.reshape(tokens * dim, tokens * dim)])
    np.testing.assert_allclose(numpy(layer(x)), numpy(plain(x)), rtol=1e-5, atol=1e-5)


def test_factors_make_a_full_kernel():
    x, (tokens, dim, heads, rank) = tokens_of(4, 3, 6), (3, 6, 2, 4)
    low, full = HiformerLayer(heads, 5, rank), HiformerLayer(heads, 5)
    low.build(x.shape)
    full.build(x.shape)
    for name in ("query", "attention_output", "expand", "contract"):
        getattr(full, name).set_weights(getattr(low, name).get_weights())
    for name in ("key", "value"):
        down, up = getattr(low, name).get_weights()
        downs = np.split(down, heads, axis=1)
        kernels = [
            (a @ b).reshape(tokens * dim, tokens, dim // heads)
            for a, b in zip(downs, up, strict=True)
        ]
        kernel = np.concatenate(kernels, axis=2).reshape(tokens * dim, tokens * dim)
        getattr(full, name).set_weights([kernel])
    np.testing.assert_allclose(numpy(low(x)), numpy(full(x)), rtol=1e-5, atol=1e-5)


@BOTH
@pytest.mark.parametrize("norm_first", [True, False])
def test_fewer_queries_give_the_last_tokens_of_all(cls, norm_first):
    x = tokens_of(4, 3, 6)
    full = cls(2, 5, norm_first=norm_first)
    pruned = cls(2, 5, norm_first=norm_first, num_queries=2)
    full.build(x.shape)
    pruned.build(x.shape)
    weights = [
        value if value.shape == weight.shape else value[1:]
        for value, weight in zip(full.get_weights(), pruned.weights, strict=True)
    ]
    pruned.set_weights(weights)
    np.testing.assert_allclose(numpy(pruned(x)), numpy(full(x))[:, 1:], rtol=1e-5, atol=1e-5)


@BOTH
def test_a_seed_draws_every_kernel_apart(cls):
    layer = cls(2, 6, kernel_initializer=keras.initializers.GlorotUniform(1))
    layer.build((None, 3, 6))
    rows = [row for w in layer.weights if "kernel" in w.path for row in numpy(w).reshape(-1, 6)]
    assert len({row.tobytes() for row in rows}) == len(rows)


@BOTH
@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"num_heads": 0}, r"`num_heads` must be a positive integer"),
        ({"feedforward_dim": 2.0}, r"`feedforward_dim` must be a positive integer"),
        ({"num_queries": 0}, r"`num_queries` must be a positive integer or None"),
        ({"epsilon": "small"}, r"`epsilon` must be a number"),
    ],
    ids=str,
)
def test_rejects(cls, config, message):
    with pytest.raises(ValueError, match=message):
        cls(**config)


def test_rejects_ranks():
    with pytest.raises(ValueError, match=r"`rank` must be a positive integer or None"):
        HiformerLayer(rank=0)


@BOTH
@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((None, 4, 6), r"`num_heads` must divide the tokens' dim, 6. Received: num_heads=4"),
        ((None, 2, 8), r"`num_queries` must be at most the number of tokens, 2. .*num_queries=3"),
        (
            (None, None, 8),
            r"expects input of shape \(batch, tokens, dim\) with a known number of tokens",
        ),
        ((None, 8), r"shape \(batch, tokens, dim\)"),
    ],
)
def test_rejects_shapes(cls, shape, message):
    with pytest.raises(ValueError, match=message):
        cls(num_heads=4, num_queries=3).build(shape)
