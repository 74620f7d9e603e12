"""Tracing: without translating Python, unless a layer branches on tensors by Python's own words."""

import keras
import numpy as np
import pytest

from kranking.export._graph import graph_of

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
