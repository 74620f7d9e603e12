"""Logistic regression, factorization machines and their deep relatives."""

import keras
import numpy as np
import pytest

import kranking as kr
from kranking import architectures

# Frappe_x1: 5,389 rows in ten tables, one row of each for ids unseen. (The split over fields is ours.)
FRAPPE = (957, 4082, 7, 7, 2, 3, 2, 9, 80, 240)
MLP = 100 * 400 + 400 + 2 * (400 * 400 + 400)
NORMS = 3 * 2 * 400
OUTPUT = 400 + 1
FIBINET = {"bilinear_type": "field_all", "reduction_ratio": 2, "batch_norm": True}


def categoricals(rows, dim):
    return [
        kr.features.Categorical(f"c{i}", vocabulary=tuple(range(n - 1)), embedding_dim=dim)
        for i, n in enumerate(rows)
    ]


def tasks(count=1):
    return [kr.Task(f"task{i}") for i in range(count)]


def build(name, rows=(4, 3, 6), dim=2, num_tasks=1, **arguments):
    row = architectures.get(name)
    return row.build(categoricals(rows, dim), tasks(num_tasks), **arguments)


def ids(rows=(4, 3, 6), size=7):
    random = np.random.default_rng(0)
    x = {f"c{i}": random.integers(0, n, size).astype("int32") for i, n in enumerate(rows)}
    return kr.features.as_model_inputs(x)


def logits(model, x):
    return {task: keras.ops.convert_to_numpy(value) for task, value in model(x).items()}


@pytest.mark.parametrize(
    ("name", "arguments", "parameters"),
    [
        ("lr", {}, 5_390),
        ("fm", {}, 59_280),
        ("deepfm", {"batch_norm": True}, 423_280),
        ("wide_deep", {"batch_norm": True, "crosses": None}, 423_280),
        ("wide_deep", {"batch_norm": True}, 423_280 + 100_000),
        ("fwfm", {}, 53_890 + 100 + 45 + 1),
        ("fwfm", {"linear": "value"}, 53_890 + 5_389 + 45 + 1),
        ("deep_light", {}, 53_890 + 100 + 45 + MLP + OUTPUT),
        ("deep_light", {"batch_norm": True}, 53_890 + 100 + 45 + MLP + NORMS + OUTPUT),
        # BARS's run, where one matrix of 10 by 10 serves both interactions.
        ("fibinet", FIBINET, 743_480 + 100),
    ],
)
def test_size_on_frappe(name, arguments, parameters):
    """As BARS counts, Wide & Deep without crosses; what BARS does not have, as the papers' equations."""
    assert sum(FRAPPE) == 5_389
    assert build(name, FRAPPE, 10, **arguments).work().parameters == parameters


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("lr", lambda t: t * (13 + 1)),
        ("fm", lambda t: t * (13 + 1)),
        ("fwfm", lambda t: t * (6 + 1 + 3)),
        ("deepfm", lambda t: t * 13 + (6 * 5 + 5) + t * (5 + 1)),
        ("deep_light", lambda t: t * (6 + 3) + (6 * 5 + 5) + t * (5 + 1)),
        ("wide_deep", lambda t: t * 13 + t * 100_000 + (6 * 5 + 5) + t * (5 + 1)),
        # Gates 2 · 3 · 1, three matrices of 2 by 2 each, and 2 · 3 pairs of width 2 into the MLP.
        ("fibinet", lambda t: t * 13 + 6 + 2 * 3 * 4 + (12 * 5 + 5) + t * (5 + 1)),
    ],
)
def test_size_for_several_tasks(name, own):
    """Three tables of 4, 3 and 6 rows; each task has first-order weights and pairs of its own."""
    arguments = {"units": (5,)} if "deep" in name or name == "fibinet" else {}
    for count in (1, 3):
        model = build(name, num_tasks=count, **arguments)
        weights = [weight for layer in model.stack for weight in layer.trainable_weights]
        assert sum(int(np.prod(weight.shape)) for weight in weights) == own(count)


def test_the_second_order_part_is_one_number_for_all_tasks():
    x = ids()
    model = build("fm", num_tasks=2)
    first_order = build("lr", num_tasks=2)
    first_order.stack[0].set_weights(model.stack[0].get_weights())
    both, linear = logits(model, x), logits(first_order, x)
    second = [both[task] - linear[task] for task in ("task0", "task1")]
    fields = np.stack(
        [keras.ops.convert_to_numpy(field) for field in model.encoder(x).values()], axis=1
    )
    wanted = sum((fields[:, i] * fields[:, j]).sum(-1) for i, j in ((0, 1), (0, 2), (1, 2)))
    for part in second:
        np.testing.assert_allclose(part[:, 0], wanted, rtol=1e-4, atol=1e-6)


def test_deepfm_with_a_silent_mlp_is_a_factorization_machine():
    x = ids()
    deep, plain = build("deepfm", units=(4,)), build("fm")
    *others, kernel, bias = deep.get_weights()
    deep.set_weights([*others, np.zeros_like(kernel), bias])
    plain.encoder.set_weights(deep.encoder.get_weights())
    plain.stack[0].set_weights(deep.stack[0].get_weights())
    np.testing.assert_allclose(
        logits(deep, x)["task0"], logits(plain, x)["task0"], rtol=1e-5, atol=1e-6
    )


def test_fwfm_with_weights_of_one_is_a_factorization_machine():
    x = ids()
    weighted, plain = build("fwfm", linear="value"), build("fm")
    weighted.blocks[0].branches[1].pair_weights.assign(np.ones((3, 1)))
    plain.encoder.set_weights(weighted.encoder.get_weights())
    plain.stack[0].set_weights(weighted.stack[0].get_weights())
    np.testing.assert_allclose(
        logits(weighted, x)["task0"], logits(plain, x)["task0"], rtol=1e-5, atol=1e-6
    )


def test_deep_light_is_fwfm_and_an_mlp():
    x = ids()
    deep, plain = build("deep_light", units=(4,)), build("fwfm")
    plain.encoder.set_weights(deep.encoder.get_weights())
    linear, pairs, mlp = deep.blocks[0].branches
    plain.blocks[0].branches[0].set_weights([*linear.get_weights(), np.zeros(1)])
    plain.blocks[0].branches[1].set_weights(pairs.get_weights())
    flat = keras.ops.concatenate(list(deep.encoder(x).values()), axis=-1)
    wanted = logits(plain, x)["task0"] + keras.ops.convert_to_numpy(mlp(flat))
    np.testing.assert_allclose(logits(deep, x)["task0"], wanted, rtol=1e-5, atol=1e-6)


def interact(e, kernels, kind):
    """FiBiNET's products of one row, pair by pair, side by side."""
    pairs = [(0, 1), (0, 2), (1, 2)]
    places = {"field_all": [..., ..., ...], "field_each": [0, 0, 1], "field_interaction": [0, 1, 2]}
    products = [
        e[i] @ kernels[place] * e[j] for place, (i, j) in zip(places[kind], pairs, strict=True)
    ]
    return np.concatenate(products)


@pytest.mark.parametrize("kind", ["field_all", "field_each", "field_interaction"])
def test_fibinet_computes_the_equations_of_the_paper(kind):
    x = ids()
    model = build("fibinet", bilinear_type=kind, units=(4,), reduction_ratio=2)
    for table in model.encoder.tables:
        table.assign(np.random.default_rng(1).standard_normal(table.shape))
    first_order = build("lr")
    first_order.stack[0].set_weights(model.stack[0].get_weights())
    fields = np.stack(
        [keras.ops.convert_to_numpy(field) for field in model.encoder(x).values()], axis=1
    )
    p, reduction, excitation, q, kernel, bias, output, last = model.blocks[0].get_weights()
    wanted = logits(first_order, x)["task0"]
    for row, e in enumerate(fields):
        gates = np.maximum(np.maximum(e.mean(1) @ reduction, 0) @ excitation, 0)
        joined = np.concatenate([interact(e, p, kind), interact(gates[:, None] * e, q, kind)])
        wanted[row] += np.maximum(joined @ kernel + bias, 0) @ output + last
    np.testing.assert_allclose(logits(model, x)["task0"], wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["fwfm", "deep_light"])
def test_rejects_an_unknown_linear_part(name):
    with pytest.raises(ValueError, match=r"`linear` must be one of .*Received: linear='LW'"):
        build(name, linear="LW")


def test_wide_deep_crosses_the_features_it_is_told_to():
    numbers = [kr.features.Numeric("age", mean=0.0, std=1.0)]
    several = [kr.features.Categorical("tags", vocabulary=("a", "b"), max_length=2)]
    one, two, three = categoricals((4, 3, 6), 2)
    made = architectures.wide_deep(
        [one, *several, two, *numbers, three], tasks(), crosses=[("c2", "c0")], units=(4,)
    )
    crossed = made.blocks[0].branches[1]
    assert crossed.pairs == ((2, 0),)  # among the single-valued categoricals
    every = architectures.wide_deep([one, *several, two, *numbers, three], tasks(), units=(4,))
    assert every.blocks[0].branches[1].pairs == ((0, 1), (0, 2), (1, 2))


def test_wide_deep_without_a_pair_has_no_table_of_pairs():
    single = categoricals((4,), 2)
    for model in (
        architectures.wide_deep(single, tasks(), units=(4,)),
        build("wide_deep", crosses=None, units=(4,)),
        build("wide_deep", crosses=[], units=(4,)),
    ):
        assert len(model.blocks[0].branches) == 2


@pytest.mark.parametrize(
    ("crosses", "message"),
    [
        ("some", r'`crosses` must be "all", None, or a list of pairs .*Received: crosses='),
        (["c0", "c1"], r"a list of pairs of feature names"),
        ([("c0", "age")], r"must name single-valued Categoricals, from .*Received: 'age'"),
        ([("c0", "c0")], r"pairs of different column positions"),
    ],
    ids=str,
)
def test_wide_deep_rejects(crosses, message):
    with pytest.raises(ValueError, match=message):
        build("wide_deep", crosses=crosses)
