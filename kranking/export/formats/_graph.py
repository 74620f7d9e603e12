"""Tracing of functions to TensorFlow graphs."""

from collections.abc import Callable, Sequence
from typing import Any


def graph_of(function: Callable, specs: Sequence[Any]) -> Any:
    """Returns the `tf.function` of a function with the given input specs, traced once.

    Layers of Keras 3 use backend operations, so AutoGraph, which takes a third of the tracing time, is
    unnecessary. It is used only if tracing fails without it: a layer written for TensorFlow may use `if`
    on a tensor.
    """
    import tensorflow as tf

    try:
        traced = tf.function(function, input_signature=specs, autograph=False)
        traced.get_concrete_function()
    except TypeError:  # raised by TensorFlow for `if`, `range` and `len` of a tensor
        traced = tf.function(function, input_signature=specs)
    return traced
