"""Under mixed precision, products whose result fits in half precision do not leave it on the way."""

import keras
import numpy as np
import pytest
from keras import ops

from kranking.layers import (
    AttentiveDotCompression,
    CompressedInteractionNetwork,
    DotCompression,
    DotInteraction,
    FeatureGate,
    FieldGate,
    FieldWeightedFactorizationMachine,
    GatedCrossNetwork,
    GramCross,
)


def gated():
    """1000 · (1000 · 0.1) is out of range; the gate, σ(-12), brings it back to 0.6."""
    layer = GatedCrossNetwork(1, dtype="mixed_float16")
    x = np.full((2, 1), 1000.0, "float32")
    layer.build((None, 1))
    for weight in layer.weights:
        kernel = {"kernel_0": [[0.1]], "gate_0": [[-0.012]]}.get(weight.path.split("/")[-1], [0.0])
        weight.assign(np.asarray(kernel, "float32"))
    return layer, x, np.full((2, 1), 1000.0 + 1e5 / (1 + np.exp(12.0)))


def filled(layer, x, value):
    layer.build((None, *x.shape[1:]))
    for weight in layer.weights:
        weight.assign(np.full(weight.shape, value if len(weight.shape) > 1 else 0.0, "float32"))
    return layer


X = np.full((2, 3, 2), 300.0, "float32")  # 300² = 90,000 is out of half precision's range


def cin():
    """Nine products of 90,000 for each of two channels, times 1e-3, summed over the channels."""
    layer = filled(CompressedInteractionNetwork((1,), dtype="mixed_float16"), X, 1e-3)
    return layer, X, np.full((2, 1), 2 * 9 * 90.0)


def gram():
    """Each of two entries of a row sums three products of 90,000, times 1e-3, no bias."""
    layer = filled(GramCross(dtype="mixed_float16"), X, 1e-3)
    bias = next(w for w in layer.weights if w.path.endswith("bias"))
    bias.assign(np.zeros(bias.shape, "float32"))
    return layer, X, np.full((2, 3, 2), 2 * 3 * 90.0)


def fwfm():
    """Three pairs, each an inner product of 180,000, times 1e-3."""
    layer = filled(FieldWeightedFactorizationMachine(num_tasks=1, dtype="mixed_float16"), X, 1e-3)
    return layer, X, np.full((2, 1), 3 * 180.0)


def dots():
    """300² - 300² + 5: the first product alone is out of range."""
    x = np.array([[[300.0, 300.0, 5.0], [300.0, -300.0, 1.0]]] * 2, "float32")
    return DotInteraction(dtype="mixed_float16"), x, np.full((2, 1), 5.0)


MANY = np.full((2, 100, 1), 0.1, "float32")  # a hundred tokens of 0.1, times 30,000, sum to 300,000


def compression():
    """A tenth of the sum."""
    return (
        filled(DotCompression(1, dtype="mixed_float16"), MANY, 3e4),
        MANY,
        np.full((2, 100), 3e4),
    )


def attentive():
    """A tenth of the sum, whose weights are (Σ 0.1 k) k = 30,000 themselves."""
    layer = AttentiveDotCompression(1, num_sums=1, units=(), dtype="mixed_float16")
    return filled(layer, MANY, 3000**0.5), MANY, np.full((2, 100), 3e4)


def field_gate():
    """The fields, and a tenth of the sum, which is every field's gate."""
    expected = np.concatenate([MANY, np.full_like(MANY, 3e4)], axis=1)
    return filled(FieldGate(dtype="mixed_float16"), MANY, 3e4), MANY, expected


def feature_gate():
    """2σ(-17) is next to no number in half precision; times 60,000 it is an ordinary one."""
    x = np.full((2, 3), 6e4, "float32")
    layer = filled(FeatureGate(dtype="mixed_float16"), x, 0.0)
    layer.logits.assign(np.full(3, -17.0, "float32"))
    return layer, x, np.full((2, 3), 6e4 * 2 / (1 + np.exp(17.0)))


CASES = [gated, cin, gram, fwfm, dots, compression, attentive, field_gate, feature_gate]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_stays_in_range(case):
    layer, x, expected = case()
    got = np.asarray(ops.convert_to_numpy(ops.cast(layer(x), "float32")))
    np.testing.assert_allclose(got, expected, rtol=5e-3)
    assert keras.backend.standardize_dtype(layer(x).dtype) == "float16"
