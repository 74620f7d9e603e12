"""MaskNet mask block."""

import keras
from keras import ops

from kranking._core import (
    check_known_width,
    check_positive_int,
    fresh,
    serializable,
)
from kranking.layers._contract._shapes import is_many
from kranking.layers._contract._work import Work, dense_work
from kranking.layers.core._field_normalization import FieldNormalization
from kranking.layers.gating._mask_settings import MaskSettings


@serializable
class MaskBlock(MaskSettings):
    """Mask block of MaskNet: multiplies a vector by an instance-guided mask, then projects it.

    `mask = ReLU(v A₁ + b₁) A₂ + b₂` from the raw embeddings `v`, and
    `y = activation(LN((mask ⊙ h) A₃))`, where `h` is the second input, or `LN_emb(v)` if there is
    only one input. The mask is neither bounded nor positive; the norm keeps deep stacks stable.

    Args:
        block_dim: Output width.
        reduction_ratio: Width of the mask's hidden layer divided by the width of `h`. As in
            MaskNet, 2.0 makes it *wider*. Defaults to 1.0 if neither this nor `aggregation_dim` is
            given.
        aggregation_dim: Width of the mask's hidden layer, instead of the ratio.
        ln_emb: Normalization of the embeddings if they are masked: `"per_field"` (as in the paper),
            `"whole"` or `"none"`. Ignored with two inputs.
        layer_norm: Whether to normalize the output by `LN`.
        use_bias: Whether to add a bias to `A₃`.
        activation: Activation of the output.
        field_dims: Width of each field, for `"per_field"`. `None` lets `RankingModel` fill it in.
        epsilon: Epsilon of both norms.
        kernel_initializer: Initializer of the three kernels.
        **kwargs: Keyword arguments of `keras.layers.Layer`.

    Input shape: `(batch, width)`, or a list of the embeddings `(batch, width)` and the vector to
        mask `(batch, masked_width)`.
    Output shape: `(batch, block_dim)`.

    >>> layer = kr.layers.MaskBlock(block_dim=8, ln_emb="per_field", field_dims=(4, 4))
    >>> tuple(layer(np.ones((2, 8), "float32")).shape)
    (2, 8)

    Reference: [Wang et al., 2021](https://arxiv.org/abs/2102.07619)
    """

    def __init__(
        self,
        block_dim: int,
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
        check_positive_int("block_dim", block_dim)
        super().__init__(
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
        self.block_dim = block_dim

    def build(self, input_shape):
        """Builds the two projections of the mask, the output projection and the norms."""
        emb_shape, masked_shape = self._split(input_shape)
        width, masked = emb_shape[-1], masked_shape[-1]
        hidden = self._hidden_dim(masked)
        self.norm_emb = None if is_many(input_shape) else self._norm_of_embeddings()
        if self.norm_emb is not None:
            self.norm_emb.build((None, width))
        self.aggregation = self._dense("aggregation", hidden, 0, activation="relu")
        self.aggregation.build((None, width))
        self.projection = self._dense("projection", masked, 1)
        self.projection.build((None, hidden))
        self.hidden = self._dense("hidden", self.block_dim, 2, use_bias=self.use_bias)
        self.hidden.build((None, masked))
        self.norm = None
        if self.layer_norm:
            self.norm = keras.layers.LayerNormalization(
                epsilon=self.epsilon, name="norm", dtype=self.dtype_policy
            )
            self.norm.build((None, self.block_dim))

    def call(self, inputs):
        """Masks the second input, or the normalized embeddings, and projects the result."""
        if isinstance(inputs, list | tuple):
            embeddings, masked = inputs
        else:
            embeddings = inputs
            masked = inputs if self.norm_emb is None else self.norm_emb(inputs)
        mask = self.projection(self.aggregation(embeddings))
        hidden = self.hidden(ops.multiply(mask, masked))
        return self.activation(hidden if self.norm is None else self.norm(hidden))

    def compute_output_shape(self, input_shape):
        """Returns `(batch, block_dim)`."""
        return (self._split(input_shape)[0][0], self.block_dim)

    def work(self, input_shape) -> Work:
        """Counts `Wt + t + tz + z + zO + 2O` parameters, plus those of a bias and of LN_emb."""
        emb_shape, masked_shape = self._split(input_shape)
        width, masked = emb_shape[-1], masked_shape[-1]
        hidden, output = self._hidden_dim(masked), self.block_dim
        total = dense_work(width, hidden) + dense_work(hidden, masked)
        total += dense_work(masked, output, bias=self.use_bias)
        # The masked vector, the activation and the norm.
        total += Work(saved_elements=masked + output)
        if self.layer_norm:
            total += Work(2 * output, 0, output)
        if not is_many(input_shape) and self.ln_emb != "none":
            total += Work(2 * width, 0, width)
        return total

    def get_config(self):
        """Returns the constructor arguments."""
        return {**super().get_config(), "block_dim": self.block_dim}

    def _split(self, input_shape):
        """Returns the shapes of the embeddings and of the vector to mask."""
        shapes = list(input_shape) if is_many(input_shape) else [input_shape, input_shape]
        if len(shapes) != 2:
            raise ValueError(
                f"`{self.name}` takes the embeddings, or a list of the embeddings and the vector "
                f"to mask. Received: input_shape={shapes}"
            )
        for shape in shapes:
            check_known_width(self, shape)
        return shapes

    def _hidden_dim(self, masked):
        if self.aggregation_dim is not None:
            return self.aggregation_dim
        ratio = 1.0 if self.reduction_ratio is None else self.reduction_ratio
        return max(1, int(ratio * masked))

    def _norm_of_embeddings(self):
        if self.ln_emb == "none":
            return None
        shared = {"epsilon": self.epsilon, "name": "norm_emb", "dtype": self.dtype_policy}
        if self.ln_emb == "whole":
            return keras.layers.LayerNormalization(**shared)
        return FieldNormalization(field_dims=self.field_dims, **shared)

    def _dense(self, name, units, index, **kwargs):
        initializer = fresh(self.kernel_initializer, index)
        return keras.layers.Dense(
            units, kernel_initializer=initializer, name=name, dtype=self.dtype_policy, **kwargs
        )
