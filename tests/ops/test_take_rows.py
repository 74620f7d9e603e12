import keras
import numpy as np
import pytest

from kranking.ops import take_rows

TABLE = np.arange(12.0, dtype="float32").reshape(4, 3)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "uint16", "int32", "uint32", "int64"])
@pytest.mark.parametrize("shape", [(), (5,), (2, 3)])
def test_gives_rows(dtype, shape):
    rows = np.random.default_rng(0).integers(0, 4, shape).astype(dtype)
    found = keras.ops.convert_to_numpy(take_rows(keras.Variable(TABLE), rows))
    np.testing.assert_array_equal(found, TABLE[rows.astype(int)])
