import keras
import numpy as np
import pytest
from keras import ops

from kranking.layers import BilinearFusion
from kranking.testing import check_layer


def oracle(inputs, weights, config):
    """The equation, head by head and task by task."""
    if not isinstance(inputs, list):
        first = (config.get("widths") or [inputs.shape[1] // 2])[0]
        inputs = [inputs[:, :first], inputs[:, first:]]
    left, right = inputs
    heads = config.get("num_heads", 1)
    logits = weights["linear_0/bias"] + left @ weights["linear_0/kernel"]
    logits = logits + right @ weights["linear_1/kernel"]
    a, c = left.shape[1] // heads, right.shape[1] // heads
    for task in range(config["num_tasks"]):
        for j in range(heads):
            one, other = left[:, j * a : (j + 1) * a], right[:, j * c : (j + 1) * c]
            kernel = weights["kernel"][j][:, task * c : (task + 1) * c]
            logits[:, task] += np.sum((one @ kernel) * other, axis=1)
    return logits


@pytest.mark.parametrize(
    ("config", "shape"),
    [
        ({"num_tasks": 1}, (5, 6)),
        ({"num_tasks": 3, "num_heads": 2, "widths": (4, 2)}, (5, 6)),
        ({"num_tasks": 2, "num_heads": 3}, [(5, 3), (5, 6)]),
    ],
    ids=str,
)
def test_contract(config, shape):
    check_layer(BilinearFusion, config, shape, oracle)


@pytest.mark.parametrize(
    ("tasks", "heads", "first", "second"), [(1, 5, 400, 100), (3, 2, 4, 6), (2, 1, 7, 3)]
)
def test_cost(tasks, heads, first, second):
    bilinear = first * second // heads
    for config, shape in (
        ({"widths": (first, second)}, (None, first + second)),
        ({}, [(None, first), (None, second)]),
    ):
        work = BilinearFusion(tasks, heads, **config).work(shape)
        assert work.parameters == tasks * (first + second + 1 + bilinear)
        assert work.matmul_flops == tasks * (2 * (first + second) + 2 * bilinear + 2 * second)
        # Two linear terms, the projected first vector, the product and the sum.
        assert work.saved_elements == tasks * (second + 4)


def normal(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def values(tensor):
    return ops.convert_to_numpy(tensor)


def fusion(heads, first, second, kernel, tasks=2):
    """A fusion whose linear part is random, with a kernel `(tasks, heads, d₁ / heads, d₂ / heads)`."""
    layer = BilinearFusion(tasks, heads)
    layer.build([(None, first), (None, second)])
    layer.linear[0].kernel.assign(normal((first, tasks), 5))
    layer.linear[1].kernel.assign(normal((second, tasks), 6))
    layer.kernel.assign(np.reshape(np.transpose(kernel, (1, 2, 0, 3)), layer.kernel.shape))
    return layer


def test_several_heads_are_one_head_with_a_block_diagonal_kernel():
    kernel = normal((2, 2, 3, 2))
    blocks = np.zeros((2, 1, 6, 4), "float32")
    blocks[:, 0, :3, :2], blocks[:, 0, 3:, 2:] = kernel[:, 0], kernel[:, 1]
    o1, o2 = normal((5, 6), 1), normal((5, 4), 2)
    many, one = fusion(2, 6, 4, kernel), fusion(1, 6, 4, blocks)
    np.testing.assert_allclose(values(many([o1, o2])), values(one([o1, o2])), rtol=1e-4, atol=1e-5)


def test_without_products_it_is_the_sum_of_two_linear_heads():
    o1, o2 = normal((5, 6), 1), normal((5, 4), 2)
    layer = fusion(2, 6, 4, np.zeros((2, 2, 3, 2)))
    expected = values(layer.linear[0](o1)) + values(layer.linear[1](o2))
    np.testing.assert_allclose(values(layer([o1, o2])), expected, rtol=1e-5, atol=1e-5)


def test_swapped_streams_with_transposed_kernels_give_the_same_logit():
    kernel = normal((2, 2, 3, 2))
    layer, swapped = fusion(2, 6, 4, kernel), fusion(2, 4, 6, kernel.transpose(0, 1, 3, 2))
    for one, other in zip(layer.linear, reversed(swapped.linear), strict=True):
        other.kernel.assign(one.kernel)
    o1, o2 = normal((5, 6), 1), normal((5, 4), 2)
    np.testing.assert_allclose(
        values(layer([o1, o2])), values(swapped([o2, o1])), rtol=1e-4, atol=1e-5
    )


def test_two_vectors_may_come_joined():
    layer = fusion(2, 6, 4, normal((2, 2, 3, 2)))
    joined = BilinearFusion(2, 2, widths=(6, 4))
    joined.build((None, 10))
    joined.set_weights(layer.get_weights())
    o1, o2 = normal((5, 6), 1), normal((5, 4), 2)
    together = np.concatenate([o1, o2], axis=1)
    np.testing.assert_array_equal(values(joined(together)), values(layer([o1, o2])))


def test_tasks_start_apart_with_the_products_as_fan_in():
    layer = BilinearFusion(2, 2, kernel_initializer=keras.initializers.GlorotUniform(1))
    layer.build([(None, 40), (None, 60)])
    kernels = values(layer.kernel).reshape(2, 20, 2, 30).swapaxes(1, 2).reshape(4, -1)
    assert len({kernel.tobytes() for kernel in kernels}) == 4
    limit = np.sqrt(6 / (2 * 20 * 30 + 1))
    assert (0.95 * limit < np.abs(kernels).max(1)).all()
    assert (np.abs(kernels) <= limit).all()


@pytest.mark.parametrize("heads", [1, 5])
def test_products_start_as_a_dense_layer_does(heads):
    """With inputs of unit variance, `n` products times weights of variance `2 / (n + 1)` sum to about 2."""
    layer = BilinearFusion(1, heads, kernel_initializer=keras.initializers.GlorotUniform(1))
    layer.build([(None, 100), (None, 50)])
    for linear in layer.linear:
        linear.kernel.assign(np.zeros(linear.kernel.shape))
    logits = values(layer([normal((2000, 100), 1), normal((2000, 50), 2)]))
    assert 1.6 < np.var(logits) < 2.4


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"num_tasks": 0}, r"`num_tasks` must be a positive integer or None"),
        ({"num_heads": 0}, r"`num_heads` must be a positive integer. Received: num_heads=0"),
        ({"widths": (3, 0)}, r"`widths` must be a list of positive integers"),
        ({"widths": (3, 1, 2)}, r"`widths` must have two entries"),
    ],
    ids=str,
)
def test_rejects(config, message):
    with pytest.raises(ValueError, match=message):
        BilinearFusion(**config)


@pytest.mark.parametrize(
    ("config", "shape", "message"),
    [
        ({"num_heads": 4}, [(None, 8), (None, 6)], r"must divide the widths .*\(8, 6\)"),
        ({"num_heads": 3, "widths": (4, 6)}, (None, 10), r"`num_heads` must divide the widths"),
        ({"widths": (4, 4)}, (None, 10), r"two vectors, or their concatenation"),
        ({"widths": (4, 6)}, [(None, 6), (None, 4)], r"Received: .*widths=\(4, 6\)"),
        ({}, (None, 7), r"pass `widths` unless both have the same width"),
        ({}, [(None, 4)] * 3, r"takes two vectors"),
    ],
    ids=str,
)
def test_rejects_shapes(config, shape, message):
    with pytest.raises(ValueError, match=message):
        BilinearFusion(1, **config).build(shape)


def test_num_tasks_is_needed():
    with pytest.raises(ValueError, match="needs `num_tasks`; a `RankingModel` fills it in"):
        BilinearFusion().build((None, 6))
