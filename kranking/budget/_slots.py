"""How much an optimizer keeps for each parameter."""

from typing import Any

import keras


def slots_per_parameter(optimizer: Any) -> float | None:
    """Gives the number of values that an optimizer keeps for each trainable value.

    A copy of the optimizer is shown one small weight, and what it makes is counted: Adam's two moments,
    one of SGD with momentum, one more for a moving average of the weights.

    Args:
        optimizer: A Keras optimizer, or its name.

    Returns:
        The number; `None` for an optimizer whose slots are not of the weights' shapes (Adafactor, Muon):
        it depends on each shape.

    >>> slots_per_parameter("adam"), slots_per_parameter(keras.optimizers.SGD(momentum=0.9))
    (2.0, 1.0)
    """
    given = keras.optimizers.get(optimizer)
    copy = type(given).from_config(given.get_config())
    weight = keras.Variable(keras.ops.zeros((7, 11)), name="probe")
    copy.build([weight])
    large = [v for v in copy.variables if len(v.shape)]
    if any(tuple(v.shape) != (7, 11) for v in large):
        return None
    return float(len(large))
