"""Rows of a log on several devices of TensorFlow."""

from contextlib import nullcontext
from types import SimpleNamespace

import keras
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kranking.data import read_parquet
from kranking.features import Numeric, Task

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="tf.distribute is TensorFlow's"
)


def trained(folder, scope):
    """Returns the losses and the predictions of a model made in `scope`."""
    with scope:
        row = keras.Input((), name="row")
        column = keras.ops.reshape(row, (-1, 1))
        save = keras.layers.Dense(1, kernel_initializer="ones")(column)
        model = keras.Model({"row": row}, {"save": save})
        model.compile("sgd", {"save": keras.losses.BinaryCrossentropy(from_logits=True)})
    declared = SimpleNamespace(
        features=[Numeric("row", mean=500.0, std=300.0)], tasks=[Task("save")]
    )
    train = read_parquet(folder, declared, 64, shuffle=True, drop_remainder=True)
    valid = read_parquet(folder, declared, 64)
    losses = model.fit(train, epochs=2, verbose=0).history["loss"]
    return losses, model.predict(valid, verbose=0)["save"][:, 0]


def test_two_devices_equal_one(tmp_path, two_replicas):
    rows = np.arange(1_000)
    table = pa.table({"row": rows.astype("float32"), "save": (rows % 3 == 0).astype("int8")})
    pq.write_table(table, tmp_path / "log.parquet", row_group_size=200)
    one_loss, one = trained(tmp_path, nullcontext())
    assert two_replicas.num_replicas_in_sync == 2
    two_loss, two = trained(tmp_path, two_replicas.scope())
    np.testing.assert_allclose(two_loss, one_loss, rtol=1e-5)
    np.testing.assert_allclose(two, one, rtol=1e-5)
    assert len(two) == 1_000
