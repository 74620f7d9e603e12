"""Tracing a function into a TensorFlow graph."""

from collections.abc import Callable, Sequence
from typing import Any


def graph_of(function: Callable, specs: Sequence[Any]) -> Any:
    """Gives the `tf.function` of a function on tensors of these types, traced once.

    Layers of Keras 3 compute by operations, for which translating their Python, a third of the time, is
    in vain. Only a layer that is TensorFlow's alone may branch on a tensor by `if`: it is translated.
    """
    import tensorflow as tf

    try:
        traced = tf.function(function, input_signature=specs, autograph=False)
        traced.get_concrete_function()
    except TypeError:  # what TensorFlow raises for `if`, `range` and `len` of a tensor
        traced = tf.function(function, input_signature=specs)
    return traced
