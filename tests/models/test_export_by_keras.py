"""Keras's own `model.export`: inputs are known from the declarations, called before or not."""

import keras
import numpy as np
import pytest

import kranking as kr

FEATURES = [
    kr.features.Categorical("country", vocabulary=("DE", "FR"), embedding_dim=4),
    kr.features.Numeric("age", mean=1.0, std=2.0),
]

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow",
    reason="elsewhere Keras's export wants packages of its own; `kranking.export` serves every backend",
)


@pytest.mark.filterwarnings(
    "ignore:In the future `np.object`:FutureWarning"
)  # Keras's, for tf2onnx
@pytest.mark.parametrize("format", ["tf_saved_model", "onnx"])
def test_what_is_exported_predicts_as_the_model(tmp_path, format):
    model = kr.RankingModel(FEATURES, [kr.layers.MLP([8])], [kr.Task("save")])
    path = str(tmp_path / ("model.onnx" if format == "onnx" else "model"))
    model.export(path, format=format, verbose=False)
    rows = {"country": np.array([1, 2, -1], "int32"), "age": np.array([0.0, 1.0, 2.0], "float32")}
    if format == "onnx":
        import onnxruntime

        got = onnxruntime.InferenceSession(path).run(["save"], rows)[0]
    else:
        import tensorflow as tf

        loaded = tf.saved_model.load(path)  # kept: its functions need its variables
        got = loaded.serve(rows)["save"]
    expected = model.predict(rows, verbose=0)["save"]
    np.testing.assert_allclose(got, expected, atol=1e-6)
