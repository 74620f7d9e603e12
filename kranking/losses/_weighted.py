"""Cross-entropy of the logits of several tasks at once, and its means over rows."""

from typing import Any

import keras
from keras import ops

# Smaller than any meaningful sum of sample weights, large enough that dividing by it stays finite.
_TINY = 1e-12


def tensor(values: Any) -> Any:
    """Converts to a tensor of `keras.config.floatx()`; losses are not computed in half precision."""
    return ops.convert_to_tensor(values, dtype=keras.config.floatx())


def crossentropy(labels: Any, logits: Any) -> Any:
    """Computes `softplus(z) - y z` elementwise, a form whose gradient is also correct at `z = 0`."""
    labels, logits = tensor(labels), tensor(logits)
    return ops.softplus(logits) - labels * logits


def batch_mean(losses: Any, sample_weight: Any = None) -> Any:
    """Computes the weighted sum over rows divided by their number, the reduction of the task losses."""
    return ops.mean(losses if sample_weight is None else losses * tensor(sample_weight), axis=0)


def observed_mean(losses: Any, sample_weight: Any = None) -> Any:
    """Computes the weighted mean over rows; 0 for a task that no row observes."""
    if sample_weight is None:
        return ops.mean(losses, axis=0)
    sample_weight = tensor(sample_weight)
    total = ops.maximum(ops.sum(sample_weight, axis=0), _TINY)
    return ops.sum(losses * sample_weight, axis=0) / total
