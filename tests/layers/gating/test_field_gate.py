import numpy as np
import pytest
from keras import ops

from kranking.layers import FieldGate
from kranking.testing import check_layer


def oracle(x, weights, config):
    gates = np.einsum("bgd,gf->bfd", x, weights["kernel"]) + weights["bias"][:, None]
    return np.concatenate([x, x * gates], axis=1)


@pytest.mark.parametrize(
    "config", [{}, {"kernel_initializer": "glorot_uniform", "bias_initializer": "zeros"}], ids=str
)
def test_contract(config):
    check_layer(FieldGate, config, (5, 3, 4), oracle)


@pytest.mark.parametrize(("tokens", "dim"), [(3, 4), (10, 10), (39, 16)])
def test_cost(tokens, dim):
    work = FieldGate().work((None, tokens, dim))
    assert work.parameters == tokens**2 + tokens
    assert work.matmul_flops == 2 * tokens**2 * dim


def test_at_the_start_the_fields_stand_twice():
    x = np.random.default_rng(0).standard_normal((2, 3, 4)).astype("float32")
    outputs = ops.convert_to_numpy(FieldGate()(x))
    np.testing.assert_array_equal(outputs, np.concatenate([x, x], axis=1))


def test_a_gate_reads_the_fields_that_its_kernel_names():
    x = np.random.default_rng(0).standard_normal((2, 3, 4)).astype("float32")
    gate = FieldGate()
    gate.build((None, 3, 4))
    gate.kernel.assign([[0, 1, 0], [0, 0, 0], [0, 0, 0]])  # field 0 gates field 1
    gate.bias.assign([1.0, 0.0, 0.0])
    outputs = ops.convert_to_numpy(gate(x))
    np.testing.assert_allclose(outputs[:, 3], x[:, 0], rtol=1e-6)
    np.testing.assert_allclose(outputs[:, 4], x[:, 0] * x[:, 1], rtol=1e-5)
    np.testing.assert_array_equal(outputs[:, 5], np.zeros((2, 4)))


def test_rejects_flat_input():
    with pytest.raises(ValueError, match=r"shape \(batch, tokens, dim\)"):
        FieldGate().build((None, 6))
