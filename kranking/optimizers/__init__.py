"""What optimizers receive: gradients of embedding tables summed per id."""

from kranking.optimizers._sum_repeated_ids import sum_repeated_ids as sum_repeated_ids

__all__ = ["sum_repeated_ids"]
