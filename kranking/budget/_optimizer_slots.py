"""Number of optimizer slots per parameter."""

import functools
import json
from typing import Any

import keras

from kranking.ops import embedding_table
from kranking.optimizers.internal import as_optimizer


def slots_per_parameter(optimizer: Any) -> float | None:
    """Counts the values that an optimizer stores per trainable value.

    A copy of the optimizer is built for two small weights and its variables are counted: 2 for the moments
    of Adam, 1 for SGD with momentum, 1 more for a moving average of the weights.

    Args:
        optimizer: A Keras optimizer or its name.

    Returns:
        The number of values, or `None` if the slots do not have the shapes of the weights or depend on
        them (Adafactor, Muon, RowWiseAdagrad).

    >>> slots_per_parameter("adam"), slots_per_parameter(keras.optimizers.SGD(momentum=0.9))
    (2.0, 1.0)
    """
    given = as_optimizer(optimizer)
    return _slots(type(given), json.dumps(given.get_config(), sort_keys=True))


@functools.lru_cache(maxsize=64)  # a search asks for every configuration that it draws
def _slots(kind: type, config: str) -> float | None:
    copy = kind.from_config(json.loads(config))
    shapes = [(7, 11), (5,)]
    probes = [keras.Variable(keras.ops.zeros(s), name=f"probe_{i}") for i, s in enumerate(shapes)]
    embedding_table(probes[0])
    copy.build(probes)
    made = [tuple(v.shape) for v in copy.variables if len(v.shape)]
    counts = {made.count(shape) for shape in shapes}
    if not set(made) <= set(shapes) or len(counts) > 1:
        return None
    return float(counts.pop())
