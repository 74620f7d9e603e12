"""Base class of the serial and the parallel MaskNet."""

from collections.abc import Sequence
from typing import Any

from kranking._core import Shape, check_known_width, fresh
from kranking.layers.gating._mask_block import MaskBlock
from kranking.layers.gating._mask_settings import MaskSettings

_KERNELS_PER_BLOCK = 3


class MaskStack(MaskSettings):
    """Base class: `blocks` holds one `MaskBlock` per entry of `block_dims`, with equal settings.

    Args:
        block_dims: Width of each block's output.
        *settings: Arguments of `MaskSettings`, in its order.
        **kwargs: Keyword arguments of `keras.layers.Layer`.
    """

    def __init__(self, block_dims: Sequence[int], *settings, **kwargs):
        super().__init__(*settings, **kwargs)
        # As given: an initializer's name draws a seed for each block, one instance would draw a single one.
        *_, initializer = settings
        self.blocks = [
            self._block(dim, fresh(initializer, index * _KERNELS_PER_BLOCK), f"block_{index}")
            for index, dim in enumerate(block_dims)
        ]

    def build(self, input_shape: Shape):
        """Builds all blocks, after setting the field widths of those that mask the embeddings."""
        check_known_width(self, input_shape)
        for block, shape in zip(self.blocks, self._shapes(input_shape), strict=True):
            block.field_dims = self.field_dims
            block.build(shape)

    def _block(self, block_dim: int, kernel_initializer: Any, name: str) -> MaskBlock:
        return MaskBlock(
            block_dim,
            reduction_ratio=self.reduction_ratio,
            aggregation_dim=self.aggregation_dim,
            ln_emb=self.ln_emb,
            layer_norm=self.layer_norm,
            use_bias=self.use_bias,
            activation=self.activation,
            epsilon=self.epsilon,
            kernel_initializer=kernel_initializer,
            name=name,
            dtype=self.dtype_policy,
        )

    def _shapes(self, input_shape):
        """Returns the input shape of each block."""
        raise NotImplementedError
