from itertools import pairwise

import keras
import numpy as np
import pytest
from keras import ops

from kranking.layers import MLP, FeatureGate, FieldNormalization
from kranking.testing import check_layer

SIZES = (4, 9, 6)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def oracle(inputs, weights, config):
    """The gate from its equation, then a ReLU layer if there is a block."""
    context = config.get("context", ())
    if context:
        fields, ids = inputs
        hidden = np.concatenate(
            [weights[f"table_{i}/embeddings"][ids[:, c]] for i, c in enumerate(context)], axis=1
        )
        for i in range(len(config.get("hidden_units", (64,)))):
            kernel, bias = weights[f"hidden/dense_{i}/kernel"], weights[f"hidden/dense_{i}/bias"]
            hidden = np.maximum(hidden @ kernel + bias, 0)
        gate = hidden @ weights["gate/kernel"] + weights["gate/bias"]
    else:
        fields, gate = inputs, weights["logits"]
    gated = 2 * sigmoid(gate) * fields
    if config.get("block") is None:
        return gated
    kernel, bias = (weights[f"block/dense_0/{name}"] for name in ("kernel", "bias"))
    return np.maximum(gated @ kernel + bias, 0)


def inputs_of(random, batch):
    ids = np.stack([random.integers(0, size, batch) for size in SIZES], axis=1)
    # Each row of each table is read at least once, or training would leave it where it is.
    for column, size in enumerate(SIZES):
        rows = np.arange(batch) % size
        ids[:, column] = rows
    return [random.standard_normal((batch, 5)).astype("float32"), ids.astype("int32")]


def test_contract_without_context():
    check_layer(FeatureGate, {}, (4, 5), oracle)


@pytest.mark.parametrize(
    "config",
    [
        {"context": (1,), "context_dims": (3,), "hidden_units": (4, 6)},
        {"context": (2, 0), "context_dims": (2, 3), "hidden_units": ()},
    ],
    ids=str,
)
def test_contract_with_context(config):
    config = {**config, "id_sizes": SIZES, "embeddings_initializer": "normal"}
    if config.get("context"):
        config["embeddings_regularizer"] = [keras.regularizers.L2(1e-3)] * len(config["context"])
    check_layer(FeatureGate, config, [(4, 5), (4, 3)], oracle, make_inputs=inputs_of)


def test_contract_with_a_block():
    def config():
        return {
            "block": MLP([3], name="block"),
            "context": (0,),
            "context_dims": (2,),
            "hidden_units": (4,),
            "id_sizes": SIZES,
        }

    check_layer(FeatureGate, config, [(4, 5), (4, 3)], oracle, make_inputs=inputs_of)


def mlp_size(width, *units):
    return sum(a * b + b for a, b in pairwise((width, *units)))


@pytest.mark.parametrize(
    ("width", "dims", "hidden"), [(100, (10,), (400,)), (7, (2, 3), (5, 4)), (6, (1, 1, 1), ())]
)
def test_cost(width, dims, hidden):
    context = tuple(range(len(dims)))
    gate = FeatureGate(None, context, dims, hidden, SIZES)
    work = gate.work([(None, width), (None, len(SIZES))])
    tables = sum(size * dim for size, dim in zip(SIZES, dims, strict=False))
    assert work.parameters == tables + mlp_size(sum(dims), *hidden, width)
    widths = (sum(dims), *hidden, width)
    assert work.matmul_flops == sum(2 * a * b for a, b in pairwise(widths))
    alone = FeatureGate(MLP([3])).work((None, width))
    assert alone.parameters == width + mlp_size(width, 3)
    assert alone.matmul_flops == 2 * width * 3


def test_bars_gate_of_the_user_on_frappe():
    """A table of 956 users of width 10, and 10 → 400 → 100."""
    gate = FeatureGate(None, (0,), (10,), (400,), (956,))
    assert gate.work([(None, 100), (None, 1)]).parameters == 9_560 + 4_400 + 40_100


def normal(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def values(tensor):
    return ops.convert_to_numpy(tensor)


def test_the_gate_is_one_at_the_start():
    fields, ids = inputs_of(np.random.default_rng(0), 6)
    with_context = FeatureGate(None, (1, 2), (3, 3), (4,), SIZES)
    np.testing.assert_array_equal(values(with_context([fields, ids])), fields)
    np.testing.assert_array_equal(values(FeatureGate()(fields)), fields)
    block = MLP([3])
    gated = FeatureGate(block)
    np.testing.assert_array_equal(values(gated(fields)), values(block(fields)))


def test_the_gate_follows_its_context_alone():
    fields, ids = inputs_of(np.random.default_rng(0), 6)
    gate = FeatureGate(None, (1,), (3,), (4,), SIZES)
    gate([fields, ids])
    gate.gate.kernel.assign(normal((4, 5)))
    gate.tables[0].embeddings.assign(normal((9, 3), 1))
    weights = values(gate([np.ones_like(fields), ids]))
    np.testing.assert_allclose(values(gate([fields, ids])), weights * fields, rtol=1e-5)
    others = ids.copy()
    others[:, [0, 2]] = 0
    np.testing.assert_array_equal(values(gate([np.ones_like(fields), others])), weights)
    others[:, 1] = (ids[:, 1] + 1) % 9
    assert np.abs(values(gate([np.ones_like(fields), others])) - weights).min(1).max() > 1e-4


def test_what_a_builder_fills_in_reaches_gate_and_block():
    gate = FeatureGate(FieldNormalization(), context=(1,), context_dims=(2,))
    assert gate.takes == ("flat", "ids")
    assert FeatureGate().takes == "flat"
    assert gate.inner_layers == (gate.block,)
    assert (gate.id_sizes, gate.block.field_dims) == (None, None)
    assert FeatureGate().inner_layers == ()
    assert (gate.gives, FeatureGate().gives) == ("flat", "flat")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"block": "mlp"}, r"`block` must be a Keras layer or None. Received: block='mlp'"),
        (
            {"context": (0, 0), "context_dims": (1, 1)},
            r"`context` must be .*distinct, non-negative",
        ),
        ({"context": (-1,), "context_dims": (1,)}, r"`context` must be a list of .*non-negative"),
        ({"context": "user", "context_dims": (1,)}, r"`context` must be a list .*'user'"),
        ({"context": (0, 1), "context_dims": (3,)}, r"one width per column of `context`"),
        ({"context_dims": (3,)}, r"one width per column of `context`"),
        ({"hidden_units": (0,)}, r"`hidden_units` must be a list of positive integers"),
        ({"id_sizes": (3, 0)}, r"`id_sizes` must be a list of positive integers"),
    ],
    ids=str,
)
def test_rejects(config, message):
    with pytest.raises(ValueError, match=message):
        FeatureGate(**config)


def test_rejects_shapes():
    gate = FeatureGate(None, (2,), (3,))
    with pytest.raises(ValueError, match=r"needs `id_sizes`; a `RankingModel` fills it in"):
        gate.build([(None, 5), (None, 3)])
    with pytest.raises(ValueError, match=r"takes a list of fields and ids"):
        gate.build((None, 5))
    with pytest.raises(ValueError, match=r"takes the fields alone"):
        FeatureGate().build([(None, 5), (None, 3)])
    gate.id_sizes = SIZES[:2]
    with pytest.raises(ValueError, match=r"`context` must index them. Received: .*context=\(2,\)"):
        gate.build([(None, 5), (None, 2)])
    with pytest.raises(ValueError, match=r"`id_sizes` for every id column"):
        gate.build([(None, 5), (None, 3)])


def test_seeded_tables_start_apart():
    initializer = keras.initializers.RandomNormal(seed=2)
    gate = FeatureGate(None, (0, 1), (3, 3), (), (9, 9), embeddings_initializer=initializer)
    gate.build([(None, 5), (None, 2)])
    first, second = (values(table.embeddings) for table in gate.tables)
    assert np.abs(first - second).max() > 1e-3
