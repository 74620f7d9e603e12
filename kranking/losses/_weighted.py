"""Cross-entropy of several tasks' logits side by side, and its means over observed rows."""

from typing import Any

import keras
from keras import ops

# Below any sum of sample weights that means something, above what a division turns to infinity.
_TINY = 1e-12


def tensor(values: Any) -> Any:
    """Gives a tensor of Keras's float type: a loss is no place for half precision."""
    return ops.convert_to_tensor(values, dtype=keras.config.floatx())


def crossentropy(labels: Any, logits: Any) -> Any:
    """Gives `softplus(z) - y z` elementwise; unlike other forms its slope is right at `z = 0` too."""
    labels, logits = tensor(labels), tensor(logits)
    return ops.softplus(logits) - labels * logits


def batch_mean(losses: Any, sample_weight: Any = None) -> Any:
    """Gives the weighted sum over the rows divided by their number, as the tasks' own loss is reduced."""
    return ops.mean(losses if sample_weight is None else losses * tensor(sample_weight), axis=0)


def observed_mean(losses: Any, sample_weight: Any = None) -> Any:
    """Gives the mean over the rows weighted as they are: 0 where no row is observed."""
    if sample_weight is None:
        return ops.mean(losses, axis=0)
    sample_weight = tensor(sample_weight)
    total = ops.maximum(ops.sum(sample_weight, axis=0), _TINY)
    return ops.sum(losses * sample_weight, axis=0) / total
