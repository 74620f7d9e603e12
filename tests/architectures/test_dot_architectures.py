"""DLRM, Wukong and MemoNet: exact sizes, and what each does without some kind of feature."""

from itertools import pairwise

import keras
import numpy as np
import pytest

import kranking as kr
from kranking import architectures

# Frappe_x1: 5,389 rows in ten tables, one row of each for ids unseen. (The split over fields is ours.)
FRAPPE = (957, 4082, 7, 7, 2, 3, 2, 9, 80, 240)
TASK = [kr.Task("save")]


def categoricals(rows=(4, 3, 6), dim=2):
    return [
        kr.features.Categorical(f"c{i}", vocabulary=tuple(range(n - 1)), embedding_dim=dim)
        for i, n in enumerate(rows)
    ]


def numbers(count=2):
    return [kr.features.Numeric(f"n{i}", mean=0.0, std=1.0) for i in range(count)]


def mlp_size(*widths):
    return sum(a * b + b for a, b in pairwise(widths))


def own_size(model):
    return model.work().parameters - model.encoder.work().parameters


def test_size_of_dlrm_on_frappe():
    """BARS's best DLRM there concatenates."""
    model = architectures.dlrm(
        categoricals(FRAPPE, 10),
        TASK,
        interaction_op="cat",
        top_mlp_units=(400, 400, 400),
        batch_norm=True,
    )
    assert model.work().parameters == 417_891
    assert sum(FRAPPE) * 10 + mlp_size(100, 400, 400, 400, 1) + 3 * 2 * 400 == 417_891


@pytest.mark.parametrize(
    ("arguments", "with_numbers", "width"),
    [
        ({}, True, 2 + 6),
        ({"self_interaction": True}, True, 2 + 10),
        ({"interaction_op": "cat"}, True, 4 * 2),
        ({}, False, 3),
        ({"interaction_op": "cat"}, False, 3 * 2),
    ],
    ids=str,
)
def test_size_of_dlrm(arguments, with_numbers, width):
    """Three embeddings of width 2, and the numbers as a fourth."""
    features = categoricals() + numbers() * with_numbers
    model = architectures.dlrm(
        features, TASK, bottom_mlp_units=(5,), top_mlp_units=(7,), **arguments
    )
    assert own_size(model) == mlp_size(2, 5, 2) * with_numbers + mlp_size(width, 7, 1)


def test_bucketized_numbers_are_embeddings_of_dlrm():
    bucketized = kr.features.Numeric(
        "n", transform="bucketize", boundaries=(0.0, 1.0), embedding_dim=2
    )
    model = architectures.dlrm([*categoricals(), bucketized], TASK, top_mlp_units=(7,))
    assert own_size(model) == mlp_size(6, 7, 1)


def test_dlrm_rejects_an_unknown_interaction():
    for features in (categoricals(), categoricals() + numbers()):
        with pytest.raises(ValueError, match=r"`interaction_op` must be one of .*Received"):
            architectures.dlrm(features, TASK, interaction_op="sum")


def wukong_layer_size(tokens, dim, fmb, lcb, rank, units):
    fmb_size = tokens * rank + 2 * tokens * rank + mlp_size(tokens * rank, *units, fmb * dim)
    residual = 0 if tokens == fmb + lcb else tokens * (fmb + lcb)
    return fmb_size + tokens * lcb + residual + 2 * dim


@pytest.mark.parametrize(("count", "fmb", "lcb"), [(1, 2, 3), (3, 4, 4)])
def test_size_of_wukong(count, fmb, lcb):
    model = architectures.wukong(
        categoricals(FRAPPE, 10),
        TASK,
        num_wukong_layers=count,
        fmb_features=fmb,
        lcb_features=lcb,
        fmb_rank_k=4,
        fmb_mlp_units=(9,),
        units=(16,),
    )
    sizes = (10, fmb, lcb, 4, (9,)), (fmb + lcb, fmb, lcb, 4, (9,))
    first, later = (wukong_layer_size(tokens, 10, *rest) for tokens, *rest in sizes)
    assert own_size(model) == first + (count - 1) * later + mlp_size((fmb + lcb) * 10, 16, 1)


@pytest.mark.parametrize("count", [0, 1.5])
def test_wukong_rejects(count):
    with pytest.raises(ValueError, match=r"`num_wukong_layers` must be a positive integer"):
        architectures.wukong(categoricals(), TASK, num_wukong_layers=count)


@pytest.mark.parametrize("restore", ["linear", "attentive"])
def test_size_of_memonet_on_frappe(restore):
    """The paper's sizes, 100,000 codewords as wide as the embeddings, two hashes; F·d = 100."""
    model = architectures.memonet(categoricals(FRAPPE, 10), TASK, restore=restore)
    memory = 100_000 * 10 + 2 * 10 * 10 + 100**2 + 100 * 45
    attention = 4 * 10**2 + 2 * 10 * 2 * 10 if restore == "attentive" else 0
    assert own_size(model) == memory + attention + mlp_size(200, 400, 400, 1)


def test_memonet_reads_all_fields_but_remembers_pairs_of_single_values():
    tags = kr.features.Categorical(
        "tags", vocabulary=tuple(range(5)), max_length=2, embedding_dim=2
    )
    features = [*categoricals(), tags, *numbers()]
    model = architectures.memonet(features, TASK, num_codewords=50, units=(7,))
    memory = 50 * 2 + 2 * 2 * 2 + 6**2 + 6 * 3
    assert own_size(model) == memory + mlp_size(6 + 2 + 2 + 6, 7, 1)


def test_memonet_needs_a_pair():
    with pytest.raises(ValueError, match="needs at least two fields"):
        architectures.memonet(categoricals((4,)) + numbers(), TASK, units=(7,))


def test_memonet_tells_pairs_apart_that_embeddings_do_not():
    """With equal embeddings for all values, only the memory knows who is whom."""
    model = architectures.memonet(categoricals((9, 9)), TASK, num_codewords=1000, units=(7,))
    for table in model.encoder.trainable_weights:
        table.assign(np.ones(table.shape))
    memory = model.blocks[0].branches[1]
    memory.codebook.assign(np.random.default_rng(0).standard_normal(memory.codebook.shape))
    rows = np.arange(8, dtype="int32")
    logits = model(kr.features.as_model_inputs({"c0": rows, "c1": rows[::-1]}))["save"]
    assert len(np.unique(keras.ops.convert_to_numpy(logits))) > 1
