"""Pooling of padded sequences."""

import keras

from kranking import ops as kops
from kranking._core import check_choice, serializable
from kranking.layers._contract._shapes import shapes_of
from kranking.layers._contract._work import Work, elements

_REDUCTIONS = {"mean": kops.masked_mean, "sum": kops.masked_sum, "max": kops.masked_max}


@serializable
class SequencePooling(keras.layers.Layer):
    """Pools the valid tokens of a sequence; an empty sequence is pooled to 0.

    `y = Σ_s m_s x_s / max(1, Σ_s m_s)` for `"mean"`, the same without the division for `"sum"`, and
    the maximum over the valid tokens for `"max"`.

    Args:
        mode: `"mean"`, `"sum"` or `"max"`.
        **kwargs: Keyword arguments of `keras.layers.Layer`.

    Input shape: a list of tokens `(batch, length, dim)` and a mask `(batch, length)`, true where a
        token is valid.
    Output shape: `(batch, dim)`.

    >>> layer = kr.layers.SequencePooling("sum")
    >>> tokens, mask = np.ones((1, 3, 2), "float32"), np.array([[True, True, False]])
    >>> [float(v) for v in layer([tokens, mask])[0]]
    [2.0, 2.0]
    """

    takes = "tokens"
    gives = "flat"

    def __init__(self, mode: str = "mean", **kwargs):
        check_choice("mode", mode, tuple(_REDUCTIONS))
        super().__init__(**kwargs)
        self.mode = mode

    def build(self, input_shape):
        """Checks that there are two inputs."""
        self._check(input_shape)

    def call(self, inputs):
        """Pools the valid tokens."""
        tokens, mask = inputs
        return _REDUCTIONS[self.mode](tokens, mask, axis=1)

    def compute_output_shape(self, input_shape):
        """Returns `(batch, dim)`."""
        tokens = self._check(input_shape)
        return (tokens[0], tokens[2])

    def work(self, input_shape) -> Work:
        """Counts no parameters and no matrix products."""
        return Work(saved_elements=elements(self.compute_output_shape(input_shape)))

    def get_config(self):
        """Returns the constructor arguments."""
        return {**super().get_config(), "mode": self.mode}

    def _check(self, input_shape):
        shapes = shapes_of(input_shape)
        if len(shapes) != 2 or len(shapes[0]) != 3:
            raise ValueError(
                f"`{self.name}` expects a list of tokens (batch, length, dim) and a mask "
                f"(batch, length). Received: input_shape={shapes}"
            )
        return shapes[0]
