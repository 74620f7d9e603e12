"""The optimizers that an optimizer is made of."""

from collections.abc import Iterator
from typing import Any


def inner_optimizers(optimizer: Any) -> Iterator[Any]:
    """Yields the parts of a `Split` and what a `LossScaleOptimizer` wraps, at any depth."""
    wrapped = getattr(optimizer, "inner_optimizer", None)
    for part in getattr(optimizer, "parts", ()) if wrapped is None else (wrapped,):
        yield part
        yield from inner_optimizers(part)
