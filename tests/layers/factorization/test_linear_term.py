import keras
import numpy as np
import pytest

from kranking.layers import LinearTerm
from kranking.testing import check_layer


def oracle(x, weights, config):
    """Logistic regression's sum over fields, plus the bias."""
    return np.einsum("bft->bt", x) + (weights["bias"] if config.get("use_bias", True) else 0.0)


@pytest.mark.parametrize(
    ("config", "shape"), [({}, (5, 4, 3)), ({"use_bias": False}, (5, 6, 1))], ids=str
)
def test_contract(config, shape):
    check_layer(LinearTerm, config, shape, oracle)


@pytest.mark.parametrize(("fields", "tasks"), [(1, 1), (4, 2), (10, 3)])
def test_cost(fields, tasks):
    assert LinearTerm().work((None, fields, tasks)).parameters == tasks
    assert LinearTerm().work((None, fields, tasks)).matmul_flops == 0
    assert LinearTerm(use_bias=False).work((None, fields, tasks)).parameters == 0


def test_half_precision_keeps_the_sum():
    """256 + 1 is 256 in bfloat16: a running sum would lose every later term."""
    terms = np.concatenate([np.full((1, 1, 1), 256.0), np.ones((1, 64, 1))], axis=1)
    outputs = LinearTerm(dtype="mixed_bfloat16")(terms.astype("float32"))
    assert float(keras.ops.convert_to_numpy(keras.ops.cast(outputs, "float32"))[0, 0]) == 320.0


@pytest.mark.parametrize("shape", [(None, 4), (None, 4, None), (None, 2, 3, 4)])
def test_rejects_what_is_not_terms(shape):
    with pytest.raises(ValueError, match=r"Received: input_shape="):
        LinearTerm().build(shape)
