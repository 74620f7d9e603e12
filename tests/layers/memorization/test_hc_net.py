import keras
import numpy as np
import pytest

from kranking.layers import HCNet
from kranking.ops import hash_pairs
from kranking.testing import check_layer

FIELDS, DIM = 4, 3


def ids_of(random, batch, fields=FIELDS):
    return random.integers(0, 50, (batch, fields)).astype("int32")


def make_inputs(random, batch):
    embeddings = random.standard_normal((batch, FIELDS, DIM)).astype("float32")
    return [ids_of(random, batch), embeddings]


def values(tensor):
    return keras.ops.convert_to_numpy(tensor)


def row_of(left, right, salt, num_codewords):
    pair = (np.array([part], "int32") for part in (left, right))
    return int(values(hash_pairs(*pair, salt, num_codewords))[0])


def oracle(inputs, weights, config):
    """Pair by pair; the hash itself has its own test."""
    ids, embeddings = inputs
    batch, fields, _ = embeddings.shape
    hashes, codebook = config["num_hashes"], weights["codebook"]
    flat = embeddings.reshape(batch, -1)
    gates = np.maximum(flat @ weights["gate_hidden/kernel"], 0) @ weights["gate/kernel"]
    outputs = np.zeros_like(embeddings)
    pairs = [(i, j) for i in range(fields) for j in range(i + 1, fields)]
    for row in range(batch):
        for place, (i, j) in enumerate(pairs):
            picked = [
                row_of(ids[row, i], ids[row, j], place * hashes + k, len(codebook))
                for k in range(hashes)
            ]
            memory = codebook[picked].ravel()
            if config.get("restore") == "attentive":
                both = np.concatenate([embeddings[row, i], embeddings[row, j]])
                hidden = np.maximum(both @ weights["attention_hidden/kernel"], 0)
                memory = memory * (hidden @ weights["attention/kernel"])
            pair = gates[row, place] * (memory @ weights["restoration/kernel"])
            outputs[row, i] += pair
            outputs[row, j] += pair
    return outputs.reshape(batch, -1)


# Codewords of the size of the embeddings: at their own start, near 0, errors would pass for zeros.
NORMAL = {"class_name": "RandomNormal", "config": {"stddev": 1.0}}


@pytest.mark.parametrize(
    "config",
    [{"num_hashes": 2}, {"num_hashes": 1, "codeword_dim": 2, "restore": "attentive"}],
    ids=str,
)
def test_contract(config):
    config = {"num_codewords": 20, "codebook_initializer": NORMAL, **config}
    shape = [(3, FIELDS), (3, FIELDS, DIM)]
    check_layer(HCNet, config, shape, oracle, make_inputs=make_inputs)


@pytest.mark.parametrize(
    ("fields", "dim", "codewords", "width", "hashes"),
    [(2, 3, 10, 3, 1), (10, 10, 100_000, 10, 2), (6, 8, 1000, 5, 3)],
)
def test_cost(fields, dim, codewords, width, hashes):
    """The formulas as printed: P = n·l + m·l·d + (Fd)² + Fd·P₂, and what attentive restoring adds."""
    shape, pairs = [(None, fields), (None, fields, dim)], fields * (fields - 1) // 2
    memory = hashes * width
    parameters = codewords * width + memory * dim + (fields * dim) ** 2 + fields * dim * pairs
    flops = pairs * 2 * memory * dim + 2 * (fields * dim) ** 2 + 2 * fields * dim * pairs
    layer = HCNet(codewords, width, hashes)
    assert (layer.work(shape).parameters, layer.work(shape).matmul_flops) == (parameters, flops)
    assert layer.compute_output_shape(shape) == (None, fields * dim)
    work = HCNet(codewords, width, hashes, restore="attentive").work(shape)
    assert work.parameters == parameters + 4 * dim**2 + 2 * dim * memory
    assert work.matmul_flops == flops + pairs * (8 * dim**2 + 4 * dim * memory)


def open_gates(layer):
    """Makes a_ij = 1 for embeddings whose first number is 1."""
    hidden, gate = (layer.kernels[name].kernel for name in ("gate_hidden", "gate"))
    kernel = np.zeros(hidden.shape)
    kernel[0, 0] = 1
    hidden.assign(kernel)
    kernel = np.zeros(gate.shape)
    kernel[0] = 1
    gate.assign(kernel)


def test_with_one_pair_each_field_gets_the_codeword():
    layer = HCNet(num_codewords=50, num_hashes=1)
    layer.build([(None, 2), (None, 2, DIM)])
    layer.kernels["restoration"].kernel.assign(np.eye(DIM))
    open_gates(layer)
    ids = ids_of(np.random.default_rng(0), 8, fields=2)
    embeddings = np.ones((8, 2, DIM), "float32")
    got = values(layer([ids, embeddings])).reshape(8, 2, DIM)
    codebook = values(layer.codebook.value)
    for row, (left, right) in enumerate(ids):
        wanted = codebook[row_of(left, right, 0, 50)]
        np.testing.assert_allclose(got[row], [wanted, wanted], rtol=1e-5, atol=1e-7)


def test_a_pair_keeps_its_memory_in_any_batch_and_tells_its_fields_apart():
    layer = HCNet(num_codewords=10_000, num_hashes=2)
    layer.build([(None, 3), (None, 3, DIM)])
    ids = np.array([[5, 5, 5], [7, 5, 5], [5, 5, 9]], "int32")
    memory = values(layer._memory(ids))  # pairs (0, 1), (0, 2), (1, 2)
    np.testing.assert_array_equal(values(layer._memory(ids[1:])), memory[1:])
    np.testing.assert_array_equal(memory[0, 0], memory[2, 0])
    np.testing.assert_array_equal(memory[0, 2], memory[1, 2])
    assert (memory[0, 0] != memory[0, 1]).all()  # same values, other fields
    assert (memory[0, :2] != memory[1, :2]).all()  # one value changed
    assert (memory[0, 0, :DIM] != memory[0, 0, DIM:]).all()  # two hashes


def test_each_field_sums_its_own_pairs():
    layer = HCNet(num_codewords=50, num_hashes=1)
    layer.build([(None, FIELDS), (None, FIELDS, DIM)])
    open_gates(layer)
    ids = ids_of(np.random.default_rng(0), 1)
    inputs = [ids, np.ones((1, FIELDS, DIM), "float32")]
    before = values(layer(inputs)).reshape(FIELDS, DIM)
    changed = ids.copy()
    changed[0, 1] += 1
    after = values(layer([changed, inputs[1]])).reshape(FIELDS, DIM)
    assert (np.abs(after - before) > 1e-6).any(axis=1).all()  # each field pairs with field 1
    restored = values(layer.kernels["restoration"](layer._memory(ids)))[0]
    pairs = [(i, j) for i in range(FIELDS) for j in range(i + 1, FIELDS)]
    wanted = [sum(v for v, p in zip(restored, pairs) if i in p) for i in range(FIELDS)]
    np.testing.assert_allclose(before, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "shape",
    [(None, 3, 4), [(None, 3), (None, 2, 4)], [(None, 3), (None, 3)], [(None, 3)]],
    ids=str,
)
def test_wants_ids_and_embeddings(shape):
    with pytest.raises(ValueError, match=r"(takes ids|shape \(batch, tokens, dim\))"):
        HCNet().build(shape)


def test_wants_a_pair():
    with pytest.raises(ValueError, match=r"needs at least two fields"):
        HCNet().build([(None, 1), (None, 1, 4)])


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"num_codewords": 0}, r"`num_codewords` must be a positive integer. Received"),
        ({"codeword_dim": 1.5}, r"`codeword_dim` must be a positive integer or None. Received"),
        ({"num_hashes": "2"}, r"`num_hashes` must be a positive integer. Received"),
        ({"restore": "LMR"}, r"`restore` must be one of .*Received: restore='LMR'"),
    ],
    ids=str,
)
def test_rejects(config, message):
    with pytest.raises(ValueError, match=message):
        HCNet(**config)
