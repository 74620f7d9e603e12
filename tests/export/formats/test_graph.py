"""Graphs: traced without translating Python where that can be, and true at the edges in ONNX."""

import keras
import numpy as np
import pytest

from kranking.export.formats._graph import graph_of
from kranking.export.formats._onnx import convert, run_onnx, save
from kranking.export.functions._signature import Signature, Value
from kranking.features.internal import rows_within

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="graphs are TensorFlow's"
)


def test_a_layer_that_branches_on_a_tensor_is_translated():
    import tensorflow as tf

    def function(x):
        if tf.reduce_sum(x) > 0:
            return x
        return -x

    traced = graph_of(function, [tf.TensorSpec((None,), "float32")])
    assert np.array_equal(traced(tf.constant([-1.0, -2.0])), [1.0, 2.0])
    assert np.array_equal(traced(tf.constant([3.0, -2.0])), [3.0, -2.0])


def test_an_error_of_the_function_is_its_own():
    import tensorflow as tf

    def function(x):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        graph_of(function, [tf.TensorSpec((None,), "float32")])


def test_a_layer_that_counts_with_a_tensor_is_translated():
    import tensorflow as tf

    def function(x):
        total = tf.zeros(())
        for i in range(tf.shape(x)[0]):
            total += x[i]
        return total

    traced = graph_of(function, [tf.TensorSpec((None,), "float32")])
    assert traced(tf.constant([1.0, 2.0])) == 3.0


@pytest.mark.parametrize("dtype", ["float32", "int32", "bool"])
def test_choices_of_every_type_run_as_onnx(dtype, tmp_path):
    import tensorflow as tf

    signature = Signature((Value("x", "float32", (2,)),), (Value("y", dtype, (2,)),))

    def choose(tensors):
        x = tensors["x"]
        return {"y": tf.where(x > 0, tf.cast(x > 1, dtype), tf.cast(x < -1, dtype))}

    save(convert(choose, signature, 18), tmp_path / "m.onnx")
    x = np.array([[2.0, 0.5], [-2.0, -0.5]], "float32")
    answer = run_onnx(tmp_path / "m.onnx")({"x": x})["y"]
    assert np.array_equal(answer, np.array([[1, 0], [1, 0]], dtype))


def test_the_last_row_of_a_large_table_is_found_in_onnx():
    """tf2onnx compares integers by `less` in float32, where 2^24 and 2^24 + 1 are one number."""
    import onnxruntime
    import tensorflow as tf
    import tf2onnx

    specs = [tf.TensorSpec((None,), "int32", name="ids")]
    function = tf.function(lambda ids: rows_within(ids, 2**24 + 1), specs)
    model, _ = tf2onnx.convert.from_function(function, specs, opset=18)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    ids = np.int32([-1, 0, 2**24, 2**24 + 1, 2**31 - 1])
    assert session.run(None, {"ids": ids})[0].tolist() == [0, 0, 2**24, 0, 0]
