from itertools import pairwise

import keras
import numpy as np
import pytest

from kranking.layers import FieldHalves
from kranking.testing import check_layer


def oracle(x, weights, config):
    """Field by field; of odd widths the longer half is the first and the second by turns."""
    first, second, longer_first = [], [], True
    for start, stop in pairwise([0, *np.cumsum(config["field_dims"])]):
        width = stop - start
        middle = start + (width + 1) // 2 if longer_first else start + width // 2
        longer_first ^= bool(width % 2)
        first.append(x[:, start:middle])
        second.append(x[:, middle:stop])
    return np.concatenate(first + second, axis=1)


@pytest.mark.parametrize(
    "dims", [(4, 4, 2), (1, 3, 1, 5, 4, 1), (6,)], ids=lambda dims: f"dims{dims}"
)
def test_contract(dims):
    check_layer(FieldHalves, {"field_dims": dims}, (5, sum(dims)), oracle)


@pytest.mark.parametrize("dims", [(4, 2), (3, 5, 2), (1, 1, 1), (1, 4, 7, 1)], ids=str)
def test_the_first_halves_are_as_wide_as_the_second_ones(dims):
    """And so meet the unmasked half of a cross network, which is the wider one of an odd width."""
    width = sum(dims)
    order = keras.ops.convert_to_numpy(
        FieldHalves(dims)(np.arange(width, dtype="float32")[None])
    ).astype(int)[0]
    assert sorted(order) == list(range(width))
    first = set(order[: width - width // 2])
    for index, (start, stop) in enumerate(pairwise([0, *np.cumsum(dims)])):
        count = len(first & set(range(start, stop)))
        assert count in (dims[index] // 2, (dims[index] + 1) // 2)


def test_fields_of_even_width_are_split_as_in_the_paper():
    x = np.arange(8, dtype="float32")[None]
    expected = [[0, 1, 4, 5, 2, 3, 6, 7]]
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(FieldHalves((4, 4))(x)), expected)


def test_costs_nothing_to_speak_of():
    work = FieldHalves((4, 4)).work((None, 8))
    assert (work.parameters, work.matmul_flops) == (0, 0)


def test_field_dims_may_come_before_the_build():
    layer = FieldHalves()
    layer.field_dims = (2, 1)
    assert keras.ops.convert_to_numpy(layer(np.ones((2, 3), "float32"))).shape == (2, 3)


def test_rejects():
    with pytest.raises(ValueError, match=r"needs `field_dims`.*Received: field_dims=None"):
        FieldHalves().build((None, 4))
    with pytest.raises(
        ValueError, match=r"must sum to the input's width, 4. Received: .*sums to 3"
    ):
        FieldHalves((2, 1)).build((None, 4))
    with pytest.raises(ValueError, match=r"`field_dims` must be a list of positive integers"):
        FieldHalves((2, 0))
