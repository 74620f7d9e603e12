"""The scalar state of Nadam inside a loss scaler."""

from collections.abc import Iterable
from typing import Any

import keras


def track_product(optimizer: Any, variables: Iterable[Any]) -> None:
    """Makes Nadam's product of momenta part of its variables when a `LossScaleOptimizer` wraps it.

    Keras 3.15 builds the inner optimizer with tracking switched off, and Nadam creates that scalar by
    assignment. Untracked, it keeps its first value on JAX, and no file contains it. Built alone, it is
    tracked; the loss scaler then builds nothing a second time.
    """
    inner = getattr(optimizer, "inner_optimizer", None)
    if isinstance(inner, keras.optimizers.Nadam):
        inner.build(list(variables))
