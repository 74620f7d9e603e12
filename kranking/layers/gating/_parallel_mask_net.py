"""MaskNet with parallel mask blocks."""

from keras import ops

from kranking._core import Shape, check_positive_int, serializable
from kranking.layers._contract._work import Work
from kranking.layers.gating._mask_stack import MaskStack


@serializable
class ParallelMaskNet(MaskStack):
    """MaskNet with parallel mask blocks, whose outputs are concatenated.

    `y = MaskBlock₁(v) ‖ … ‖ MaskBlock_K(v)`. The MLP that follows in the paper is not included: add
    an `MLP`.

    Args:
        num_blocks: Number of mask blocks `K`.
        block_dim: Width of each block's output.
        reduction_ratio: Width of a mask's hidden layer divided by the width of the input. Defaults
            to 1.0 if neither this nor `aggregation_dim` is given.
        aggregation_dim: Width of every mask's hidden layer, instead of the ratio.
        ln_emb: Normalization of the embeddings, separate in each block: `"per_field"`, `"whole"` or
            `"none"`.
        layer_norm: Whether to normalize each block's output.
        use_bias: Whether to add a bias to each block's output projection.
        activation: Activation of each block's output.
        field_dims: Width of each field, for `"per_field"`. `None` lets `RankingModel` fill it in.
        epsilon: Epsilon of every norm.
        kernel_initializer: Initializer of every kernel.
        **kwargs: Keyword arguments of `keras.layers.Layer`.

    Input shape: `(batch, width)`.
    Output shape: `(batch, num_blocks · block_dim)`.

    >>> layer = kr.layers.ParallelMaskNet(num_blocks=3, block_dim=8, ln_emb="whole")
    >>> tuple(layer(np.ones((2, 6), "float32")).shape)
    (2, 24)

    Reference: [Wang et al., 2021](https://arxiv.org/abs/2102.07619)
    """

    def __init__(
        self,
        num_blocks: int = 1,
        block_dim: int = 64,
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
        check_positive_int("num_blocks", num_blocks)
        check_positive_int("block_dim", block_dim)
        super().__init__(
            (block_dim,) * num_blocks,
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
        self.num_blocks = num_blocks
        self.block_dim = block_dim

    def call(self, inputs):
        """Applies every block to the same embeddings."""
        outputs = [block(inputs) for block in self.blocks]
        return outputs[0] if len(outputs) == 1 else ops.concatenate(outputs, axis=-1)

    def compute_output_shape(self, input_shape: Shape):
        """Returns `(batch, num_blocks · block_dim)`."""
        return (input_shape[0], self.num_blocks * self.block_dim)

    def work(self, input_shape: Shape) -> Work:
        """Sums the work of the blocks; concatenating several saves the output once more."""
        joined = Work(saved_elements=self.num_blocks * self.block_dim * (self.num_blocks > 1))
        pairs = zip(self.blocks, self._shapes(input_shape), strict=True)
        return sum((block.work(shape) for block, shape in pairs), joined)

    def get_config(self):
        """Returns the constructor arguments."""
        return {
            **super().get_config(),
            "num_blocks": self.num_blocks,
            "block_dim": self.block_dim,
        }

    def _shapes(self, input_shape):
        return [input_shape] * self.num_blocks
