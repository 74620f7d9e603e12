"""Nodes of an ONNX graph: what they read, and renaming values."""

from collections.abc import Callable, Iterator
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


def rename_values(graph: Any, real: Callable[[str], str]) -> None:
    """Renames every value that nodes of a graph, or of the graphs inside them, use or make."""
    for node in graph.node:
        node.input[:] = [real(name) if name else name for name in node.input]
        node.output[:] = [real(name) if name else name for name in node.output]
        for attribute in node.attribute:
            # Reading an absent `g` and changing it would create it.
            for inner in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                rename_values(inner, real)
                for value in (*inner.input, *inner.output):
                    value.name = real(value.name)
    for constant in graph.initializer:
        constant.name = real(constant.name)
    # Inferred shapes of inner values still carry nameless batch axes; readers infer them anew.
    del graph.value_info[:]
