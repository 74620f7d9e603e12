import keras
import numpy as np
import pytest

from kranking.layers import MLP, CrossNetwork, Work, work_of
from kranking.testing import traced_matmul_flops

L = keras.layers


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda: L.Dense(3), (None, 4)),
        (lambda: L.Dense(3, use_bias=False, activation="gelu"), (None, 5, 4)),
        (lambda: L.LayerNormalization(), (None, 5, 4)),
        (lambda: L.LayerNormalization(center=False), (None, 4)),
        (lambda: L.LayerNormalization(axis=(1, 2)), (None, 5, 4)),
        (lambda: L.BatchNormalization(scale=False), (None, 4)),
        (lambda: L.Activation("relu"), (None, 4)),
        (lambda: L.Dropout(0.5), (None, 4)),
        (lambda: L.Flatten(), (None, 5, 4)),
        (lambda: L.Reshape((20,)), (None, 5, 4)),
        (lambda: L.Identity(), (None, 4)),
        (lambda: L.GlobalAveragePooling1D(), (None, 5, 4)),
        (lambda: L.Concatenate(), [(None, 3), (None, 4)]),
        (lambda: L.Multiply(), [(None, 4), (None, 4)]),
        (lambda: keras.Sequential([L.Dense(3), MLP([2, 2]), L.LayerNormalization()]), (None, 4)),
    ],
)
def test_the_table_is_exact(make, shape):
    layer = make()
    work = work_of(layer, shape)
    assert not layer.built or not layer.weights
    assert work.unknown == ()
    layer.build(shape)
    shapes = shape if isinstance(shape, list) else [shape]
    inputs = [np.ones((1, *s[1:]), "float32") for s in shapes]
    inputs = inputs if isinstance(shape, list) else inputs[0]
    assert work.parameters == sum(int(np.prod(w.shape)) for w in layer.trainable_weights)
    assert work.matmul_flops == traced_matmul_flops(layer, inputs)


def test_embedding():
    layer = L.Embedding(7, 4)
    assert work_of(layer, (None, 3)) == Work(28, 0, 12, table_parameters=28)


@pytest.mark.parametrize(
    "config",
    [
        {"num_heads": 2, "key_dim": 3},
        {"num_heads": 1, "key_dim": 2, "value_dim": 5, "use_bias": False, "output_shape": 6},
        {"num_heads": 2, "key_dim": 3, "dropout": 0.1},
    ],
    ids=str,
)
def test_multi_head_attention(config):
    layer = L.MultiHeadAttention(**config)
    work = work_of(layer, [(None, 5, 4), (None, 7, 8)])
    heads, key, value = config["num_heads"], config["key_dim"], config.get("value_dim")
    value, output = value or key, config.get("output_shape", 4)
    flops = 5 * 4 * heads * key + 7 * 8 * heads * (key + value) + 5 * heads * value * output
    assert work.matmul_flops == 2 * (flops + heads * 5 * 7 * (key + value))
    layer.build((None, 5, 4), (None, 7, 8))
    assert work.parameters == sum(int(np.prod(w.shape)) for w in layer.trainable_weights)


def test_unknown_layers_are_listed_and_never_counted_as_zero():
    class Odd(L.Dense):
        """A subclass may hold weights that the table knows nothing of."""

    assert work_of(Odd(3), (None, 4)) == Work(unknown=("Odd",))
    chain = keras.Sequential([L.Dense(3), L.UnitNormalization(), L.PReLU()])
    assert work_of(chain, (None, 4)).unknown == ("PReLU",)


def test_works_add_up():
    total = Work(1, 2, 3, ("A",)) + Work(10, 20, 30, ("B",))
    assert total == Work(11, 22, 33, ("A", "B"))


def test_needs_known_axes():
    with pytest.raises(
        ValueError, match=r"`input_shape` must be fully known except for the batch axis"
    ):
        work_of(L.Dense(3), (None, None, 4))


def test_lines_of_tables_are_counted_apart():
    table = keras.layers.Embedding(10, 4)
    assert work_of(table, (None, 3)) == Work(40, 0, 12, table_parameters=40)
    chain = work_of(
        keras.Sequential([table, keras.layers.Flatten(), keras.layers.Dense(2)]), (None, 3)
    )
    assert (chain.parameters, chain.table_parameters) == (40 + 26, 40)


def test_what_is_kept_is_credited_to_the_layer_that_makes_it():
    chain = keras.Sequential([L.Dense(3), MLP([4]), L.Dense(2)])
    assert work_of(chain, (None, 5)).saved_by == {"Dense": 3 + 4 + 2}
    assert work_of(MLP([4], batch_norm=True), (None, 5)).saved_by == {
        "Dense": 4,
        "BatchNormalization": 4,
        "Activation": 4,
    }


def test_steps_flops_and_elements_by_class():
    work = work_of(keras.Sequential([L.Dense(3), MLP([4, 2]), L.Flatten()]), (None, 5))
    steps, flops, saved = work.by_class["Dense"]
    assert (steps, flops, saved) == (3, 2 * (5 * 3 + 3 * 4 + 4 * 2), 3 + 4 + 2)
    assert steps == work.steps
    assert "Flatten" not in work.by_class


@pytest.mark.parametrize("depth", [1, 4])
def test_steps_grow_with_the_operators(depth):
    work = work_of(CrossNetwork(depth=depth), (None, 5))
    assert work.by_class["CrossNetwork"][0] == 2 * depth  # a product, and what is done with it
