import json
import subprocess
import sys

import keras
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="tf.distribute is TensorFlow's"
)

PROGRAM = """
import contextlib, json, sys, types
import keras, numpy as np, tensorflow as tf
from kranking.data import read_parquet
from kranking.features import Numeric, Task

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
declared = types.SimpleNamespace(
    features=[Numeric("row", mean=500.0, std=300.0)], tasks=[Task("save")]
)
results = []
for scope in (contextlib.nullcontext(), tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope()):
    with scope:
        row = keras.Input((), name="row")
        save = keras.layers.Dense(1, kernel_initializer="ones")(keras.ops.reshape(row, (-1, 1)))
        model = keras.Model({"row": row}, {"save": save})
        model.compile("sgd", {"save": keras.losses.BinaryCrossentropy(from_logits=True)})
    train = read_parquet(sys.argv[1], declared, 64, shuffle=True, drop_remainder=True)
    valid = read_parquet(sys.argv[1], declared, 64)
    loss = model.fit(train, epochs=2, verbose=0).history["loss"]
    results.append([loss, model.predict(valid, verbose=0)["save"][:, 0].tolist()])
print(json.dumps(results))
"""


def test_two_devices_equal_one(tmp_path):
    """In a process of its own: logical devices cannot be set once TensorFlow runs."""
    rows = np.arange(1_000)
    table = pa.table({"row": rows.astype("float32"), "save": (rows % 3 == 0).astype("int8")})
    pq.write_table(table, tmp_path / "log.parquet", row_group_size=200)
    command = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    (one_loss, one), (two_loss, two) = json.loads(done.stdout.splitlines()[-1])
    np.testing.assert_allclose(two_loss, one_loss, rtol=1e-5)
    np.testing.assert_allclose(two, one, rtol=1e-5)
    assert len(two) == 1_000
