"""Functions of `kranking.layers` for the model builder, not part of the public API."""

from kranking.layers._contract._flow import leaves as leaves
from kranking.layers._contract._flow import select_inputs as select_inputs

__all__ = ["leaves", "select_inputs"]
