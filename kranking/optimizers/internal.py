"""What other packages use of optimizers and users do not need."""

from kranking.optimizers._as_optimizer import as_optimizer as as_optimizer
from kranking.optimizers._track_product import track_product as track_product

__all__ = ["as_optimizer", "track_product"]
