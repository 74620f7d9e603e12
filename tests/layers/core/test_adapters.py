"""`Concatenate`, `Stack` and `Tokenizer`: from fields to a flat vector or to tokens."""

import keras
import numpy as np
import pytest

from kranking.layers import Concatenate, Stack, Tokenizer
from kranking.testing import check_layer

SHAPES = [(5, 3), (5, 1), (5, 6), (5, 1), (5, 4)]
KINDS = ("field", "numeric", "sequence", "numeric", "field")


@pytest.mark.parametrize("count", [1, 5])
def test_concatenate_contract(count):
    check_layer(Concatenate, {}, SHAPES[:count], lambda x, *_: np.concatenate(x, axis=1))


def test_concatenate_contract_of_views():
    config = {"views": ("flat", "numeric")}
    check_layer(Concatenate, config, SHAPES[:2], lambda x, *_: np.concatenate(x, axis=1))


def test_concatenate_takes_what_it_is_told():
    assert Concatenate().takes == "fields"
    assert Concatenate(["flat", "numeric"]).takes == ("flat", "numeric")


@pytest.mark.parametrize("views", ["flat", (), (3,), None], ids=repr)
def test_concatenate_rejects_views(views):
    with pytest.raises(
        ValueError, match=r"`views` must be 'fields' or a non-empty list.*Received: views="
    ):
        Concatenate(views)


@pytest.mark.parametrize("count", [1, 3])
def test_stack_contract(count):
    check_layer(Stack, {}, [(5, 4)] * count, lambda x, *_: np.stack(x, axis=1))


def test_stack_rejects_unequal_widths():
    with pytest.raises(
        ValueError, match=r"stacks fields of equal width.*Received: widths \[3, 1\]"
    ):
        Stack().build([(None, 3), (None, 1)])


def tokens_oracle(fields, weights, config):
    """Fields, then all numerics together, then sequences."""
    dim = config["dim"]
    groups = {
        kind: [field for field, given in zip(fields, KINDS) if given == kind] for kind in KINDS
    }
    numeric = np.concatenate(groups["numeric"], axis=1)
    index = 0
    while f"mlp/dense_{index}/kernel" in weights:
        kernel, bias = (weights[f"mlp/dense_{index}/{part}"] for part in ("kernel", "bias"))
        numeric = np.maximum(numeric @ kernel + bias, 0)
        index += 1
    vectors = [*groups["field"], numeric, *groups["sequence"]]
    tokens = []
    for i, vector in enumerate(vectors):
        kernel, bias = (weights[f"projection_{i}/{part}"] for part in ("kernel", "bias"))
        tokens.append((vector @ kernel + bias).reshape(len(vector), -1, dim))
    return np.concatenate(tokens, axis=1)


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"num_numeric_tokens": 1, "num_sequence_tokens": 2},
        {"numeric_units": (7, 3), "num_numeric_tokens": 9},
    ],
    ids=str,
)
def test_tokenizer_contract(config):
    config = {"kinds": KINDS, "dim": 4, **config}
    check_layer(Tokenizer, config, SHAPES, tokens_oracle)


@pytest.mark.parametrize(("dim", "numeric", "sequence"), [(4, 4, 4), (8, 1, 2), (5, 3, 1)])
def test_tokenizer_cost(dim, numeric, sequence):
    layer = Tokenizer(dim, KINDS, numeric, sequence)
    work = layer.work([(None, width) for _, width in SHAPES])
    flops = 2 * (3 * dim + 4 * dim + 2 * numeric * dim + 6 * sequence * dim)
    assert work.matmul_flops == flops
    biases = dim + dim + numeric * dim + sequence * dim
    assert work.parameters == flops // 2 + biases


def test_tokenizer_of_fields_alone():
    layer = Tokenizer(3, ["field"] * 2)
    assert tuple(layer([np.ones((2, 4)), np.ones((2, 1))]).shape) == (2, 2, 3)
    assert layer.compute_output_shape([(None, 4), (None, 1)]) == (None, 2, 3)


def test_tokenizer_starts_apart_under_a_seed():
    layer = Tokenizer(3, ["field"] * 2, kernel_initializer=keras.initializers.RandomNormal(seed=1))
    tokens = keras.ops.convert_to_numpy(layer([np.ones((1, 4)), np.ones((1, 4))]))
    assert np.abs(tokens[:, 0] - tokens[:, 1]).max() > 1e-3


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"kinds": (), "dim": 4}, r"`kinds` must be a list of .*Received: kinds=\(\)"),
        ({"kinds": ("dense",), "dim": 4}, r"`kinds` must be .*Received: kinds=\('dense',\)"),
        ({"kinds": "field", "dim": 4}, r"`kinds` must be .*Received: kinds='field'"),
        ({"kinds": KINDS, "dim": 0}, r"`dim` must be a positive integer"),
        ({"kinds": KINDS, "dim": 4, "num_numeric_tokens": 0}, r"`num_numeric_tokens` must be"),
        ({"kinds": KINDS, "dim": 4, "num_sequence_tokens": 0}, r"`num_sequence_tokens` must be"),
        ({"kinds": KINDS, "dim": 4, "numeric_units": ()}, r"`numeric_units` must be a list"),
    ],
    ids=str,
)
def test_tokenizer_rejects(config, message):
    with pytest.raises(ValueError, match=message):
        Tokenizer(**config)


def test_tokenizer_kinds_may_come_before_the_build():
    layer = Tokenizer(dim=4)
    with pytest.raises(
        ValueError, match=r"needs `kinds`; a `RankingModel` fills it in.*kinds=None"
    ):
        layer.build([(None, 3)])
    layer.kinds = ("sequence",)
    assert layer.compute_output_shape([(None, 3)]) == (None, 4, 4)
    assert Tokenizer.from_config(layer.get_config()).kinds == ("sequence",)


def test_rejects_shapes():
    with pytest.raises(ValueError, match=r"needs one input per entry of `kinds`, 5. Received"):
        Tokenizer(4, KINDS).build([(None, 3)] * 2)
    for layer in (Tokenizer(4, ("field",)), Concatenate()):
        with pytest.raises(ValueError, match=r"expects a list of fields of shape \(batch, width\)"):
            layer.build([(None, 3, 4)])
