"""MaskNet with serial mask blocks."""

from collections.abc import Sequence

from kranking._core import Shape, check_positive_ints, serializable
from kranking.layers._contract._work import Work
from kranking.layers.gating._mask_stack import MaskStack


@serializable
class SerialMaskNet(MaskStack):
    """MaskNet with serial mask blocks, each of which masks the output of the previous block.

    `y[1] = MaskBlock(v)` and `y[k] = MaskBlock(v, y[k-1])`. All masks are computed from the raw
    embeddings `v`.

    Args:
        block_dims: Width of each block's output.
        reduction_ratio: Width of a mask's hidden layer divided by the width of the masked vector.
            Defaults to 1.0 if neither this nor `aggregation_dim` is given.
        aggregation_dim: Width of every mask's hidden layer, instead of the ratio.
        ln_emb: Normalization of the embeddings in the first block: `"per_field"`, `"whole"` or
            `"none"`.
        layer_norm: Whether to normalize each block's output.
        use_bias: Whether to add a bias to each block's output projection.
        activation: Activation of each block's output.
        field_dims: Width of each field, for `"per_field"`. `None` lets `RankingModel` fill it in.
        epsilon: Epsilon of every norm.
        kernel_initializer: Initializer of every kernel.
        **kwargs: Keyword arguments of `keras.layers.Layer`.

    Input shape: `(batch, width)`.
    Output shape: `(batch, block_dims[-1])`.

    >>> layer = kr.layers.SerialMaskNet(block_dims=(8, 4), field_dims=(4, 2))
    >>> tuple(layer(np.ones((2, 6), "float32")).shape)
    (2, 4)

    Reference: [Wang et al., 2021](https://arxiv.org/abs/2102.07619)
    """

    def __init__(
        self,
        block_dims: Sequence[int] = (64, 64, 64),
        reduction_ratio: float | None = None,
        aggregation_dim: int | None = None,
        ln_emb: str = "per_field",
        layer_norm: bool = True,
        use_bias: bool = False,
        activation="relu",
        field_dims: tuple[int, ...] | None = None,
        epsilon: float = 1e-5,
        kernel_initializer="glorot_uniform",
        **kwargs,
    ):
        super().__init__(
            check_positive_ints("block_dims", block_dims),
            reduction_ratio,
            aggregation_dim,
            ln_emb,
            layer_norm,
            use_bias,
            activation,
            field_dims,
            epsilon,
            kernel_initializer,
            **kwargs,
        )
        self.block_dims = tuple(block_dims)

    def call(self, inputs):
        """Applies the blocks, each with the raw embeddings as first input."""
        outputs = self.blocks[0](inputs)
        for block in self.blocks[1:]:
            outputs = block([inputs, outputs])
        return outputs

    def compute_output_shape(self, input_shape: Shape):
        """Returns `(batch, block_dims[-1])`."""
        return (input_shape[0], self.block_dims[-1])

    def work(self, input_shape: Shape) -> Work:
        """Sums the work of the blocks."""
        pairs = zip(self.blocks, self._shapes(input_shape), strict=True)
        return sum((block.work(shape) for block, shape in pairs), Work())

    def get_config(self):
        """Returns the constructor arguments."""
        return {**super().get_config(), "block_dims": self.block_dims}

    def _shapes(self, input_shape):
        later = [[input_shape, (input_shape[0], dim)] for dim in self.block_dims[:-1]]
        return [input_shape, *later]
