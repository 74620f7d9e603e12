"""Under mixed precision, products whose result fits in half precision do not overflow on the way."""

import keras
import numpy as np
import pytest
from keras import ops

from kranking.layers import (
    CompressedInteractionNetwork,
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


@pytest.mark.parametrize("case", [gated, cin, gram, fwfm], ids=lambda case: case.__name__)
def test_stays_in_range(case):
    layer, x, expected = case()
    got = np.asarray(ops.convert_to_numpy(ops.cast(layer(x), "float32")))
    np.testing.assert_allclose(got, expected, rtol=5e-3)
    assert keras.backend.standardize_dtype(layer(x).dtype) == "float16"
