"""What other packages use of optimizers and users do not need."""

from kranking.optimizers._track_product import track_product as track_product

__all__ = ["track_product"]
