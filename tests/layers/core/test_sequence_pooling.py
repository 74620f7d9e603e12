import keras
import numpy as np
import pytest

from kranking.layers import SequencePooling
from kranking.testing import check_layer

SHAPES = [(6, 5, 3), (6, 5)]


def oracle(inputs, weights, config):
    rows = []
    for tokens, mask in zip(*inputs):
        valid = tokens[mask]
        reduce = {"mean": np.mean, "sum": np.sum, "max": np.max}[config.get("mode", "mean")]
        rows.append(reduce(valid, axis=0) if len(valid) else np.zeros(tokens.shape[1]))
    return np.stack(rows)


def made_inputs(random, batch):
    tokens = random.standard_normal((batch, 5, 3)).astype("float32")
    mask = random.random((batch, 5)) < 0.5
    mask[0] = False
    return [tokens, mask]


@pytest.mark.parametrize("config", [{}, {"mode": "sum"}, {"mode": "max"}], ids=str)
def test_contract(config):
    check_layer(SequencePooling, config, SHAPES, oracle, make_inputs=made_inputs)


@pytest.mark.parametrize("mode", ["mean", "sum", "max"])
def test_what_padding_holds_does_not_matter(mode):
    tokens, mask = made_inputs(np.random.default_rng(0), 6)
    poisoned = np.where(mask[:, :, None], tokens, np.nan).astype("float32")
    layer = SequencePooling(mode)
    outputs = [keras.ops.convert_to_numpy(layer([t, mask])) for t in (tokens, poisoned)]
    np.testing.assert_array_equal(*outputs)


def test_rejects():
    with pytest.raises(ValueError, match=r"`mode` must be one of .*Received: mode='median'"):
        SequencePooling("median")
    with pytest.raises(
        ValueError, match=r"expects a list of tokens \(batch, length, dim\) and a mask"
    ):
        SequencePooling().build((None, 5, 3))
