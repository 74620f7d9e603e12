"""What other packages use of optimizers and users do not need."""

from kranking.optimizers._as_optimizer import as_optimizer as as_optimizer
from kranking.optimizers._inner_optimizers import inner_optimizers as inner_optimizers
from kranking.optimizers._row_tables import row_tables as row_tables
from kranking.optimizers._track_product import track_product as track_product

__all__ = ["as_optimizer", "inner_optimizers", "row_tables", "track_product"]
