"""What a node of an ONNX graph says of itself."""

from collections.abc import Iterator
from typing import Any


def read_by(node: Any) -> Iterator[str]:
    """Gives what a node reads, the graphs inside it included."""
    yield from node.input
    for attribute in node.attribute:
        # Reading an absent `g` would create it.
        for inner in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
            yield from (name for other in inner.node for name in read_by(other))
            yield from (output.name for output in inner.output)


def axis_of(node: Any) -> int:
    """Gives the axis of a node that has 0 by default."""
    return next((a.i for a in node.attribute if a.name == "axis"), 0)
