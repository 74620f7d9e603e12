import keras
import numpy as np
import pytest

from kranking.layers import MLP, MaskBlock, Residual, TransformerEncoderLayer, fill_open_arguments
from kranking.testing import check_layer


def oracle(x, weights, config):
    kernel, bias = weights.values()
    return x + np.maximum(x @ kernel + bias, 0)


@pytest.mark.parametrize("shape", [(5, 6), (5, 3, 6)], ids=str)
def test_contract(shape):
    check_layer(Residual, lambda: {"block": MLP([6])}, shape, oracle)


def test_contract_around_a_transformer():
    config = {"block": None}
    check_layer(
        Residual,
        lambda: {**config, "block": TransformerEncoderLayer(name="encoder")},
        (5, 3, 6),
        idle=("encoder/key/bias",),
    )


@pytest.mark.parametrize("width", [3, 8, 21])
def test_cost_is_the_block_s(width):
    work, block = (layer.work((None, width)) for layer in (Residual(MLP([width])), MLP([width])))
    assert (work.parameters, work.matmul_flops) == (block.parameters, block.matmul_flops)


def test_a_block_of_zeros_gives_the_identity():
    x = np.random.default_rng(0).standard_normal((4, 6)).astype("float32")
    layer = Residual(keras.layers.Dense(6, kernel_initializer="zeros"))
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(layer(x)), x)


def test_a_builder_fills_the_block():
    layer = Residual(MaskBlock(6))
    fill_open_arguments(layer, field_dims=(2, 4))
    assert layer.block.field_dims == (2, 4)


def test_rejects_a_block_that_changes_the_shape():
    with pytest.raises(
        ValueError, match=r"must keep the shape of its input, \(None, 6\).*\(None, 4\)"
    ):
        Residual(MLP([4])).build((None, 6))


def test_rejects_what_is_no_layer():
    with pytest.raises(ValueError, match=r"`block` must be a Keras layer. Received: block=3"):
        Residual(3)
