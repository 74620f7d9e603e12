"""Gates that weigh experts."""

from keras import ops

from kranking import ops as kops


def softmax_gates(scores):
    """Returns weights that sum to 1 on the last axis, computed in float32, in the dtype of `scores`."""
    if scores.shape[-1] == 1:
        # Keras warns of a softmax of one; the gate of a single expert still has a gradient, of 0.
        return scores - scores + 1
    return ops.cast(ops.softmax(ops.cast(scores, kops.wide(scores.dtype)), axis=-1), scores.dtype)
