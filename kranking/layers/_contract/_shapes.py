"""Shapes of one or several inputs, as Keras passes them to `build`."""

from typing import Any


def is_many(input_shape: Any) -> bool:
    """Whether `input_shape` is a list of shapes; a shape restored from a file is a list, not a tuple."""
    return len(input_shape) > 0 and isinstance(input_shape[0], list | tuple)


def shapes_of(input_shape: Any) -> list[tuple[Any, ...]]:
    """Returns a list of shapes for one shape or a list of shapes."""
    return [tuple(s) for s in input_shape] if is_many(input_shape) else [tuple(input_shape)]
