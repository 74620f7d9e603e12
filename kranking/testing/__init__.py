"""Checks of the contracts of this package, usable for your own classes. Needs no test framework."""

from kranking.testing._check_layer import check_layer as check_layer
from kranking.testing._matmul_flops import traced_matmul_flops as traced_matmul_flops

__all__ = ["check_layer", "traced_matmul_flops"]
