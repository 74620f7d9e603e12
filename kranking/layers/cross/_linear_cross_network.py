"""Linear cross network of SDCNv3."""

from kranking._core import serializable
from kranking.layers.cross._self_mask_cross import SelfMaskCross


@serializable
class LinearCrossNetwork(SelfMaskCross):
    """Multiplies the first features by a projection of the current ones, one degree per step.

    Step `l` computes `x[l+1] = x[0] ⊙ (c ‖ c ⊙ mask + b[l]) + x[l]` with `c = x[l] A[l]`, half as wide, and
    `mask = ReLU(LN(c))`: LCN, the shallow half of SDCNv3. Without mask it is a polynomial of degree
    `depth + 1`. Put `FieldHalves` before it, so that every field meets `c` with and without its mask.

    The bias is added after the concatenation, as in the authors' code and parameter counts; the
    paper prints a bias half as wide inside `c`. Of an odd width, `c` is the larger half, and its
    last column has no masked copy. Products and sums are computed in float32 under mixed precision.

    Args:
        depth: Number of cross steps.
        dropout: Fraction of each step's output dropped in training.
        layer_norm: Normalizes `c` before its mask; without, `mask = ReLU(c)`.
        epsilon: Epsilon of the norms.
        seed: Seed of the dropouts.
        kernel_initializer: Initializer of every kernel.
        bias_initializer: Initializer of every bias. The authors' code uses `RandomUniform(0, 1)`.
        **kwargs: Keyword arguments of `keras.layers.Layer`.

    Input shape: `(batch, ..., width)`, where `width` is known at build time, at least 4.
    Output shape: the input shape.
    Raises: `ValueError` at build if the width is below 4.

    >>> tuple(kr.layers.LinearCrossNetwork(depth=2)(np.ones((8, 16), "float32")).shape)
    (8, 16)

    Reference: [Li et al., 2024](https://arxiv.org/abs/2407.13349)
    """

    def _multiplied(self, first, current):
        return first
