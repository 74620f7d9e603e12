"""Cross network of DCN-V2 with low-rank kernels."""

import keras
from keras import ops

from kranking import ops as kops
from kranking._core import Shape, check_known_width, check_positive_int, serializable
from kranking.layers._contract._work import Work, dense_work, rows
from kranking.layers.cross._cross_steps import CrossSteps


@serializable
class LowRankCrossNetwork(CrossSteps):
    """Cross network of DCN-V2 with low-rank kernels.

    Step `l` computes `x[l+1] = x[0] ⊙ (g(x[l] V[l]) U[l] + b[l]) + x[l]`, where `V` (the weights
    `down`) has shape `(width, rank)`, `U` (the weights `up`) has shape `(rank, width)` and `g` is
    `inner_activation`. It costs less than full kernels for ranks below `width / 2`; the paper
    recommends `width / 4`. Products and sums are computed in float32 under mixed precision.

    Args:
        depth: Number of cross steps.
        rank: Rank of the factored kernels.
        inner_activation: Activation *between* the two factors, such as `"relu"` at Pinterest;
            `None` for the plain product of the paper. (The `pre_activation` of other libraries is
            applied after the second factor.)
        kernel_initializer: Initializer of every factor.
        bias_initializer: Initializer of every bias.
        **kwargs: Keyword arguments of `keras.layers.Layer`.

    Input shape: `(batch, ..., width)`, where `width` is known at build time.
    Output shape: the input shape.

    >>> layer = kr.layers.LowRankCrossNetwork(depth=2, rank=4, inner_activation="relu")
    >>> tuple(layer(np.ones((8, 16), "float32")).shape)
    (8, 16)

    Reference: [Wang et al., 2021, equation 2](https://arxiv.org/abs/2008.13535)
    """

    def __init__(
        self,
        depth: int = 2,
        rank: int = 32,
        inner_activation=None,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        **kwargs,
    ):
        check_positive_int("rank", rank)
        super().__init__(depth, kernel_initializer, bias_initializer, **kwargs)
        self.rank = rank
        self.inner_activation = keras.activations.get(inner_activation)

    def build(self, input_shape: Shape):
        """Creates two factors and a bias per step."""
        width = check_known_width(self, input_shape)
        self.downs, self.ups, self.biases = [], [], []
        for step in range(self.depth):
            self.downs.append(self._add_kernel((width, self.rank), f"down_{step}", 2 * step))
            self.ups.append(self._add_kernel((self.rank, width), f"up_{step}", 2 * step + 1))
            self.biases.append(self._add_bias(width, step))
        self.input_spec = keras.layers.InputSpec(min_ndim=2, axes={-1: width})

    def call(self, inputs):
        """Applies `depth` cross steps."""
        wide = kops.wide(self.compute_dtype)
        first = outputs = ops.cast(inputs, wide)
        for down, up, bias in zip(self.downs, self.ups, self.biases, strict=True):
            inner = ops.matmul(ops.cast(outputs, self.compute_dtype), down)
            projected = ops.matmul(self.inner_activation(inner), up)
            outputs = first * (ops.cast(projected, wide) + ops.cast(bias, wide)) + outputs
        return ops.cast(outputs, self.compute_dtype)

    def work(self, input_shape: Shape) -> Work:
        """Counts `depth · (2Wr + W)` parameters and `depth · 4Wr` FLOPs per vector."""
        width, count = check_known_width(self, input_shape), rows(input_shape)
        step = dense_work(width, self.rank, count, bias=False)
        step += dense_work(self.rank, width, count) + Work(saved_elements=width * count)
        if self.inner_activation is not keras.activations.linear:
            step += Work(saved_elements=self.rank * count)
        total = Work()
        for _ in range(self.depth):
            total += step
        return total

    def get_config(self):
        """Returns the constructor arguments."""
        return {
            **super().get_config(),
            "rank": self.rank,
            "inner_activation": keras.activations.serialize(self.inner_activation),
        }
