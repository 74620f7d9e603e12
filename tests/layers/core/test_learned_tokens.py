import numpy as np
import pytest

from kranking.layers import LearnedTokens
from kranking.testing import check_layer


def oracle(x, weights, config):
    learned = np.broadcast_to(weights["embeddings"], (len(x), *weights["embeddings"].shape))
    return np.concatenate([x, learned], axis=1)


@pytest.mark.parametrize("num_tokens", [1, 3])
def test_contract(num_tokens):
    check_layer(LearnedTokens, {"num_tokens": num_tokens}, (5, 2, 4), oracle)


@pytest.mark.parametrize(("tokens", "learned", "dim"), [(3, 1, 4), (10, 3, 16), (1, 5, 1)])
def test_cost(tokens, learned, dim):
    work = LearnedTokens(learned).work((None, tokens, dim))
    assert (work.parameters, work.matmul_flops) == (learned * dim, 0)


@pytest.mark.parametrize("value", [0, 2.0, None])
def test_rejects(value):
    with pytest.raises(ValueError, match=r"`num_tokens` must be a positive integer. Received"):
        LearnedTokens(value)


@pytest.mark.parametrize("shape", [(None, 4), (None, None, 4)])
def test_rejects_shapes(shape):
    with pytest.raises(ValueError, match=r"shape \(batch, tokens, dim\) with a known number"):
        LearnedTokens().build(shape)
