"""xDeepFM, AutoInt and the architectures of token layers: published sizes to the last parameter."""

from itertools import pairwise

import keras
import numpy as np
import pytest

import kranking as kr
from kranking import architectures

# Rows of all tables; one row of each is for ids unseen. (The split over the fields is ours.)
FRAPPE = (957, 4082, 7, 7, 2, 3, 2, 9, 80, 240)
MOVIELENS = (24_980, 31_200, 34_059)
DIM = 10
UNITS = (400, 400, 400)


def categoricals(rows, dim=DIM):
    return [
        kr.features.Categorical(f"c{i}", vocabulary=tuple(range(n - 1)), embedding_dim=dim)
        for i, n in enumerate(rows)
    ]


def tasks(count=1):
    return [kr.Task(f"task{i}") for i in range(count)]


def build(name, rows=(4, 3, 6), dim=4, num_tasks=1, **arguments):
    return architectures.get(name).build(categoricals(rows, dim), tasks(num_tasks), **arguments)


def dense(*sizes):
    return sum(a * b + b for a, b in pairwise(sizes))


def size_of(model):
    """Trainable parameters, as published; a batch norm's moments are not among them."""
    size = model.work().parameters
    assert size == sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    return size


def test_rows_are_those_of_the_published_runs():
    assert sum(FRAPPE) == 5_389
    assert sum(MOVIELENS) == 90_239


CIN = {"units": (), "cin_hidden_units": (64, 64, 64)}
XDEEPFM = {"units": UNITS, "cin_hidden_units": (64,), "batch_norm": True}


@pytest.mark.parametrize(("arguments", "published"), [(CIN, 147_984), (XDEEPFM, 429_809)])
def test_size_of_xdeepfm_on_frappe(arguments, published):
    """Embeddings, a first-order weight per row without a bias, a bias in each other part's output."""
    fields, rows = len(FRAPPE), sum(FRAPPE)
    parts = rows * DIM + rows
    read = fields
    for maps in arguments["cin_hidden_units"]:
        parts += fields * read * maps + maps
        read = maps
    parts += dense(sum(arguments["cin_hidden_units"]), 1)
    if arguments["units"]:
        parts += dense(fields * DIM, *UNITS, 1) + 2 * sum(UNITS)  # batch norm
    assert parts == published
    assert size_of(build("xdeepfm", FRAPPE, DIM, **arguments)) == published


FUXICTR = {"num_heads": 4, "attention_dim": 128, "residual": "identity"}
AUTOINT = {**FUXICTR, "attention_layers": 6, "use_scale": False}
AUTOINT_PLUS = {
    **FUXICTR,
    "attention_layers": 5,
    "layer_norm": "before",
    "units": UNITS,
    "batch_norm": True,
    "dropout": 0.1,
}


def autoint_parts(rows, arguments):
    """What FuxiCTR's AutoInt has: `W_res` only where the dim changes, no bias in attention."""
    fields, width = len(rows), arguments["attention_dim"]
    parts = sum(rows) * DIM + 4 * DIM * width + dense(fields * width, 1)
    parts += (arguments["attention_layers"] - 1) * 3 * width * width
    parts += arguments["attention_layers"] * 2 * width * ("layer_norm" in arguments)
    if "units" in arguments:
        parts += dense(fields * DIM, *UNITS, 1) + 2 * sum(UNITS)
    return parts + sum(rows) * arguments.get("use_wide", False)


@pytest.mark.parametrize(("arguments", "published"), [(AUTOINT, 306_051), (AUTOINT_PLUS, 622_180)])
def test_size_of_autoint_on_frappe(arguments, published):
    assert autoint_parts(FRAPPE, arguments) == published
    assert size_of(build("autoint", FRAPPE, DIM, **arguments)) == published


def test_a_projected_residual_is_what_autoint_has_more_by_default():
    """The paper's `W_res` stands in every layer, also in those that keep the dim."""
    model = build("autoint", FRAPPE, DIM, **{**AUTOINT, "residual": "projection"})
    assert size_of(model) == 306_051 + 5 * 128 * 128


WIDE = {**FUXICTR, "attention_layers": 2, "layer_norm": "before", "use_wide": True}


@pytest.mark.parametrize(
    ("name", "arguments", "published"),
    [
        ("xdeepfm", {"units": (), "cin_hidden_units": (32,) * 4}, 1_002_390),
        ("xdeepfm", {"units": UNITS, "cin_hidden_units": (64,) * 3}, 1_351_767),
        ("autoint", WIDE, 1_047_798),
        ("autoint", {**WIDE, "units": UNITS, "batch_norm": True}, 1_383_799),
    ],
)
def test_size_on_movielens(name, arguments, published):
    """A second log: three fields, a wide part, an MLP without batch norm."""
    features = [
        kr.features.Categorical(f"c{i}", hash_buckets=n - 1, embedding_dim=DIM)
        for i, n in enumerate(MOVIELENS)
    ]
    model = architectures.get(name).build(features, tasks(), **arguments)
    assert size_of(model) == published


TABLES = (4 + 3 + 6) * 4


@pytest.mark.parametrize("num_tasks", [1, 3])
def test_size_of_the_others(num_tasks):
    n, d, t = 3, 4, num_tasks
    model = build("hiformer", num_tasks=t, depth=2, num_heads=2, feedforward_dim=5, rank=2)
    n += t
    reader = 2 * 2 * n * (d + d // 2)
    network = 2 * d * 5 + 5 + d
    first = 2 * n * d**2 + 2 * reader + n * network + 4 * d
    last = 2 * t * d**2 + 2 * reader + t * network + 4 * d
    assert size_of(model) == TABLES + t * d + first + last + d + 1

    n -= t
    model = build("mlp_mixer", num_tasks=t, depth=2, tokens_mlp_dim=5, channels_mlp_dim=7)
    layer = dense(n, 5, n) + dense(d, 7, d) + 4 * d
    assert size_of(model) == TABLES + 2 * layer + 2 * d + dense(d, t)


def test_size_of_the_transformer():
    features = [
        *categoricals((4, 3), 4),
        kr.features.Numeric("age", mean=0.0, std=1.0),
        kr.features.Numeric("price", mean=0.0, std=1.0),
    ]
    model = architectures.transformer(
        features, tasks(2), depth=2, token_dim=6, feedforward_dim=5, units=(7,)
    )
    tokens = 2 + 4
    tokenizer = 2 * dense(4, 6) + dense(2, 4 * 6)
    layer = 4 * 36 + 2 * 6 * 5 + 9 * 6 + 5
    expected = 7 * 4 + tokenizer + 2 * layer + dense(tokens * 6, 7, 2)
    assert size_of(model) == expected


def logits(model, x):
    return np.concatenate([keras.ops.convert_to_numpy(v) for v in model(x).values()], axis=1)


def ids(rows=(4, 3, 6), size=5):
    random = np.random.default_rng(0)
    x = {f"c{i}": random.integers(0, n, size).astype("int32") for i, n in enumerate(rows)}
    return kr.features.as_model_inputs(x)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("xdeepfm", {"units": (6,), "cin_hidden_units": (3, 2)}),
        ("autoint", {"units": (6,), "use_wide": True, "attention_dim": 4}),
    ],
)
def test_logits_are_the_sum_of_their_parts(name, arguments):
    model, x = build(name, num_tasks=2, **arguments), ids()
    view, sums = model.stack[0], model.blocks[0]
    views = view([model.encoder(x), x])
    parts = [branch(part) for branch, part in zip(sums.branches, views, strict=True)]
    assert [tuple(part.shape) for part in parts] == [(5, 2)] * 3
    total = sum(keras.ops.convert_to_numpy(part) for part in parts)
    np.testing.assert_allclose(logits(model, x), total, rtol=1e-5, atol=1e-6)


def test_fields_of_one_width_are_not_projected():
    for name in ("xdeepfm", "autoint", "hiformer", "mlp_mixer"):
        model = build(name)
        assert not any("tokenizer" in weight.path for weight in model.weights)


def test_each_task_of_hiformer_has_its_own_token():
    model, x = build("hiformer", num_tasks=2), ids()
    before = logits(model, x)
    last = model.blocks[-2]
    kernel = keras.ops.convert_to_numpy(last.contract.kernel).copy()
    kernel[1] = kernel[1] + 1.0  # the second task's feed-forward network
    last.contract.kernel.assign(kernel)
    after = logits(model, x)
    np.testing.assert_array_equal(after[:, 0], before[:, 0])
    assert np.abs(after[:, 1] - before[:, 1]).min() > 1e-6


def test_heads_of_autoint_divide_its_width():
    with pytest.raises(ValueError, match=r"`num_heads` must divide `attention_dim`.*Received: num"):
        build("autoint", num_heads=3, attention_dim=16)
