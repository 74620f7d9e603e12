"""Operations that kranking's own layers use and users of the package do not need."""

from kranking.ops._masked_reductions import mask_bias as mask_bias

__all__ = ["mask_bias"]
