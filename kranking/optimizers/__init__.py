"""Optimizers of embedding tables, and the sum of gradients per id that every optimizer receives."""

from kranking.optimizers._lazy_adam import LazyAdam as LazyAdam
from kranking.optimizers._row_wise_adagrad import RowWiseAdagrad as RowWiseAdagrad
from kranking.optimizers._split import Split as Split
from kranking.optimizers._sum_repeated_ids import sum_repeated_ids as sum_repeated_ids

__all__ = ["LazyAdam", "RowWiseAdagrad", "Split", "sum_repeated_ids"]
