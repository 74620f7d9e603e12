"""What the builder of models uses of layers and users of the package do not need."""

from kranking.layers._contract._flow import leaves as leaves
from kranking.layers._contract._flow import select_inputs as select_inputs

__all__ = ["leaves", "select_inputs"]
