"""Numerically safe operations on `keras.ops`: finite on empty rows, with finite gradients."""

from kranking.ops._embedding_table import embedding_table as embedding_table
from kranking.ops._embedding_table import is_embedding_table as is_embedding_table
from kranking.ops._hash_pairs import hash_pairs as hash_pairs
from kranking.ops._l2_normalize import l2_normalize as l2_normalize
from kranking.ops._masked_reductions import masked_max as masked_max
from kranking.ops._masked_reductions import masked_mean as masked_mean
from kranking.ops._masked_reductions import masked_softmax as masked_softmax
from kranking.ops._masked_reductions import masked_sum as masked_sum
from kranking.ops._precision import wide as wide
from kranking.ops._take_rows import take_rows as take_rows

__all__ = [
    "embedding_table",
    "hash_pairs",
    "is_embedding_table",
    "l2_normalize",
    "masked_max",
    "masked_mean",
    "masked_softmax",
    "masked_sum",
    "take_rows",
    "wide",
]
