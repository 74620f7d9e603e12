"""Operations that kranking's own layers use and users of the package do not need."""

from kranking.ops._lookup_gradients import current_lookup_gradients as current_lookup_gradients
from kranking.ops._lookup_gradients import lookup_gradients as lookup_gradients
from kranking.ops._masked_reductions import mask_bias as mask_bias

__all__ = ["current_lookup_gradients", "lookup_gradients", "mask_bias"]
