"""Softmax gates of mixtures of experts."""

from keras import ops

from kranking import ops as kops


def softmax_gates(scores):
    """Returns the softmax of `scores`, computed in float32 and cast back to their dtype."""
    if scores.shape[-1] == 1:
        # Keras warns about a softmax over one entry. A single gate is 1, with a gradient of 0.
        return scores - scores + 1
    return ops.cast(ops.softmax(ops.cast(scores, kops.wide(scores.dtype)), axis=-1), scores.dtype)
