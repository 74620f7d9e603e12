import keras
import numpy as np
import pytest

from kranking.layers import SemanticTokenizer
from kranking.testing import check_layer


def oracle(x, weights, config):
    tokens = config["num_tokens"]
    width = -(-x.shape[1] // tokens)
    kernel, bias = weights["projection/kernel"], weights["projection/bias"]
    rows = []
    for t in range(tokens):
        part = x[:, t * width : (t + 1) * width]  # short or empty at the end
        rows.append(part @ kernel[t, : part.shape[1]] + bias[t])
    return np.stack(rows, axis=1)


@pytest.mark.parametrize(
    ("tokens", "width"), [(3, 6), (4, 10), (4, 5)], ids=["even", "padded", "a slice too few"]
)
def test_contract(tokens, width):
    check_layer(SemanticTokenizer, {"num_tokens": tokens, "dim": 5}, (5, width), oracle)


@pytest.mark.parametrize(("tokens", "dim", "width"), [(1, 4, 7), (4, 8, 30), (16, 32, 100)])
def test_cost(tokens, dim, width):
    work = SemanticTokenizer(tokens, dim).work((None, width))
    slice_width = int(np.ceil(width / tokens))
    assert work.parameters == tokens * (slice_width * dim + dim)
    assert work.matmul_flops == 2 * tokens * slice_width * dim


def test_a_token_reads_its_own_slice():
    layer = SemanticTokenizer(3, 4)
    x = np.random.default_rng(0).standard_normal((2, 6)).astype("float32")
    before = keras.ops.convert_to_numpy(layer(x))
    x[:, 2:4] += 1
    changed = np.abs(keras.ops.convert_to_numpy(layer(x)) - before).max(axis=(0, 2)) > 1e-4
    assert changed.tolist() == [False, True, False]


@pytest.mark.parametrize("name", ["num_tokens", "dim"])
@pytest.mark.parametrize("value", [0, 1.5, "2"])
def test_rejects(name, value):
    with pytest.raises(ValueError, match=f"`{name}` must be a positive .*Received: {name}="):
        SemanticTokenizer(**{name: value})
