from itertools import combinations

import numpy as np
import pytest
from keras import ops

from kranking.layers import BilinearInteraction, FactorizationMachine
from kranking.testing import check_layer

TYPES = ("field_all", "field_each", "field_interaction")


def oracle(x, weights, config):
    """`p_ij = v_i W ⊙ v_j` of the paper's bilinear interaction layer, pair by pair."""
    kernel, kind = weights["projection/kernel"], config["bilinear_type"]
    products = []
    for pair, (i, j) in enumerate(combinations(range(x.shape[1]), 2)):
        w = kernel if kind == "field_all" else kernel[i if kind == "field_each" else pair]
        products.append(np.array([(e[i] @ w) * e[j] for e in x]))
    return np.stack(products, axis=1)


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("shape", [(4, 2, 3), (5, 4, 3)], ids=str)
def test_contract(kind, shape):
    check_layer(BilinearInteraction, {"bilinear_type": kind}, shape, oracle)


@pytest.mark.parametrize(("fields", "dim"), [(2, 3), (10, 10), (39, 16)])
def test_cost(fields, dim):
    pairs = fields * (fields - 1) // 2
    counts = {"field_all": (1, fields - 1), "field_each": (fields - 1,) * 2}
    for kind in TYPES:
        kernels, mapped = counts.get(kind, (pairs, pairs))
        layer = BilinearInteraction(kind)
        work = layer.work((None, fields, dim))
        assert work.parameters == kernels * dim**2
        assert work.matmul_flops == 2 * mapped * dim**2
        assert layer.compute_output_shape((None, fields, dim)) == (None, pairs, dim)


def normal(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype("float32")


def values(layer, x):
    return ops.convert_to_numpy(layer(x))


@pytest.mark.parametrize("kind", TYPES)
def test_identity_matrices_sum_to_a_factorization_machine(kind):
    x = normal(4, 6, 5)
    products = values(BilinearInteraction(kind, kernel_initializer="identity"), x)
    plain = values(FactorizationMachine(), x)
    np.testing.assert_allclose(products.sum((1, 2)), plain[:, 0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("kind", "kernel", "pairs"),
    [("field_each", 1, [3, 4]), ("field_interaction", 1, [1])],  # of (01, 02, 03, 12, 13, 23)
)
def test_a_matrix_belongs_to_its_pairs(kind, kernel, pairs):
    x = normal(3, 4, 2)
    layer = BilinearInteraction(kind)
    before = values(layer, x)
    kernels = ops.convert_to_numpy(layer.projection.kernel.value).copy()
    kernels[kernel] += 1.0
    layer.projection.kernel.assign(kernels)
    changed = np.abs(values(layer, x) - before).max((0, 2)) > 1e-4
    assert np.flatnonzero(changed).tolist() == pairs


def test_the_first_field_of_a_pair_is_mapped():
    """W = [[0, 1], [0, 0]] moves the first field's first value; the second field stays in place."""
    layer = BilinearInteraction("field_all")
    layer.build((None, 2, 2))
    layer.projection.kernel.assign([[0.0, 1.0], [0.0, 0.0]])
    x = np.array([[[2.0, 3.0], [5.0, 7.0]]], "float32")
    np.testing.assert_allclose(values(layer, x), [[[0.0, 14.0]]])
    np.testing.assert_allclose(values(layer, x[:, ::-1].copy()), [[[0.0, 15.0]]])


@pytest.mark.parametrize("kind", ["all", "field-all", None])
def test_rejects_an_unknown_type(kind):
    with pytest.raises(
        ValueError, match=r"`bilinear_type` must be one of .*Received: bilinear_type="
    ):
        BilinearInteraction(kind)


def test_rejects_one_field_and_flat_input():
    with pytest.raises(ValueError, match="needs two fields or more"):
        BilinearInteraction().build((None, 1, 4))
    with pytest.raises(ValueError, match=r"shape \(batch, tokens, dim\)"):
        BilinearInteraction().build((None, 6))
