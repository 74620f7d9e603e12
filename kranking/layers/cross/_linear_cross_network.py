"""Linear cross network (LCN) of SDCNv3."""

from kranking._core import serializable
from kranking.layers.cross._self_mask_cross import SelfMaskCross


@serializable
class LinearCrossNetwork(SelfMaskCross):
    """Linear cross network (LCN) of SDCNv3: each step raises the degree of the interactions by one.

    Step `l` computes `x[l+1] = x[0] ⊙ (c ‖ c ⊙ mask + b[l]) + x[l]` with `c = x[l] A[l]`, half as
    wide as `x`, and `mask = ReLU(LN(c))`. It is the shallow part of SDCNv3. Without the mask it is
    a polynomial of degree `depth + 1`. Place `FieldHalves` before it, so that every field is
    multiplied by `c` both with and without the mask.

    The bias is added after the concatenation, as in the authors' code and parameter counts; the
    paper has a bias of half the width inside `c`. For an odd width, `c` is the larger half, and its
    last column has no masked copy. Products and sums are computed in float32 under mixed precision.

    Args:
        depth: Number of cross steps.
        dropout: Fraction of each step's output dropped in training.
        layer_norm: Whether to normalize `c` for the mask; otherwise `mask = ReLU(c)`.
        epsilon: Epsilon of the norms.
        seed: Seed of the dropout layers.
        kernel_initializer: Initializer of every kernel.
        bias_initializer: Initializer of every bias. The authors' code uses `RandomUniform(0, 1)`.
        **kwargs: Keyword arguments of `keras.layers.Layer`.

    Input shape: `(batch, ..., width)`, where `width` is known at build time, at least 4.
    Output shape: the input shape.
    Raises: `ValueError` at build time if the width is below 4.

    >>> tuple(kr.layers.LinearCrossNetwork(depth=2)(np.ones((8, 16), "float32")).shape)
    (8, 16)

    Reference: [Li et al., 2024](https://arxiv.org/abs/2407.13349)
    """

    def _multiplied(self, first, current):
        return first
