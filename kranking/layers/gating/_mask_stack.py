"""What the serial and the parallel MaskNet share: their settings and their blocks."""

from collections.abc import Sequence

import keras

from kranking._core import Shape, check_known_width, check_positive_ints, fresh
from kranking.layers.gating._mask_block import MaskBlock

_KERNELS_PER_BLOCK = 3


class MaskStack(keras.layers.Layer):
    """Abstract: holds `blocks`, one `MaskBlock` per entry of `block_dims`, with equal settings."""

    takes = "flat"
    gives = "flat"

    def __init__(
        self,
        block_dims: Sequence[int],
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
    ):
        super().__init__(**kwargs)
        self.reduction_ratio = reduction_ratio
        self.aggregation_dim = aggregation_dim
        self.ln_emb = ln_emb
        self.layer_norm = bool(layer_norm)
        self.use_bias = bool(use_bias)
        self.activation = keras.activations.get(activation)
        self.field_dims = (
            None if field_dims is None else check_positive_ints("field_dims", field_dims)
        )
        self.epsilon = epsilon
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.blocks = [
            MaskBlock(
                dim,
                reduction_ratio=reduction_ratio,
                aggregation_dim=aggregation_dim,
                ln_emb=ln_emb,
                layer_norm=layer_norm,
                use_bias=use_bias,
                activation=activation,
                epsilon=epsilon,
                kernel_initializer=fresh(kernel_initializer, index * _KERNELS_PER_BLOCK),
                name=f"block_{index}",
                dtype=self.dtype_policy,
            )
            for index, dim in enumerate(block_dims)
        ]

    def build(self, input_shape: Shape):
        """Builds every block; those that mask the embeddings learn the fields' widths first."""
        check_known_width(self, input_shape)
        for block, shape in zip(self.blocks, self._shapes(input_shape), strict=True):
            block.field_dims = self.field_dims
            block.build(shape)

    def get_config(self):
        """Returns the arguments that both kinds share."""
        return {
            **super().get_config(),
            "reduction_ratio": self.reduction_ratio,
            "aggregation_dim": self.aggregation_dim,
            "ln_emb": self.ln_emb,
            "layer_norm": self.layer_norm,
            "use_bias": self.use_bias,
            "activation": keras.activations.serialize(self.activation),
            "field_dims": self.field_dims,
            "epsilon": self.epsilon,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }

    def _shapes(self, input_shape):
        """Returns the input shape of each block."""
        raise NotImplementedError
