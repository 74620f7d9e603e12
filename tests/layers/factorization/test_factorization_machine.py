from itertools import combinations

import keras
import numpy as np
import pytest

from kranking.layers import FactorizationMachine
from kranking.testing import check_layer


def pairwise(x):
    """The definition: every pair once."""
    pairs = combinations(range(x.shape[1]), 2)
    return sum((x[:, i] * x[:, j] for i, j in pairs), np.zeros_like(x[:, 0])).sum(-1, keepdims=True)


def oracle(x, weights, config):
    assert not weights
    return pairwise(x)


@pytest.mark.parametrize("shape", [(5, 4, 3), (4, 1, 6)], ids=str)
def test_contract(shape):
    check_layer(FactorizationMachine, {}, shape, oracle)


@pytest.mark.parametrize(("fields", "dim"), [(2, 1), (10, 10), (39, 16)])
def test_cost(fields, dim):
    work = FactorizationMachine().work((None, fields, dim))
    assert (work.parameters, work.matmul_flops) == (0, 0)


def test_order_of_fields_does_not_matter_and_doubling_counts_fourfold():
    x = np.random.default_rng(0).standard_normal((3, 5, 4)).astype("float32")
    values = [
        keras.ops.convert_to_numpy(FactorizationMachine()(v)) for v in (x, x[:, ::-1], 2.0 * x)
    ]
    np.testing.assert_allclose(values[1], values[0], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(values[2], 4.0 * values[0], rtol=1e-5, atol=1e-5)


def test_half_precision_keeps_the_difference():
    """One long field beside short ones: the two sums agree in all that bfloat16 would keep."""
    x = np.full((1, 9, 4), 0.125, "float32")
    x[:, 0] = 32.0
    outputs = FactorizationMachine(dtype="mixed_bfloat16")(x)
    outputs = keras.ops.convert_to_numpy(keras.ops.cast(outputs, "float32"))
    np.testing.assert_allclose(outputs, pairwise(x.astype("float64")), rtol=2**-8)


@pytest.mark.parametrize("shape", [(None, 4), (None, None, 4), (None, 4, None)])
def test_rejects_what_is_not_tokens(shape):
    with pytest.raises(ValueError, match=r"takes tokens \(batch, fields, dim\) of known sizes"):
        FactorizationMachine().build(shape)


def test_rejects_fields_of_unequal_widths():
    with pytest.raises(ValueError, match=r"takes tokens .* of known sizes"):
        FactorizationMachine().build([(None, 4), (None, 3)])
