"""Tracing: without translating Python, unless a layer branches on tensors by Python's own words."""

import keras
import numpy as np
import pytest

from kranking.export._graph import graph_of
from kranking.export._onnx import convert, run_onnx, save
from kranking.export._signature import Signature, Value

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="a layer of TensorFlow's alone"
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
