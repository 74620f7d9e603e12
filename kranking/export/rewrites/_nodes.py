"""Nodes of an ONNX graph: the values that they read, and renaming of values."""

from collections.abc import Callable, Iterator
from typing import Any


def read_by(node: Any) -> Iterator[str]:
    """Yields the names of the values that a node reads, including its subgraphs."""
    yield from node.input
    for attribute in node.attribute:
        # Accessing an absent `g` would create it.
        for inner in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
            yield from (name for other in inner.node for name in read_by(other))
            yield from (output.name for output in inner.output)


def axis_of(node: Any) -> int:
    """Returns the `axis` attribute of a node, 0 if absent."""
    return next((a.i for a in node.attribute if a.name == "axis"), 0)


def rename_values(graph: Any, real: Callable[[str], str]) -> None:
    """Renames all values that the nodes of a graph and of its subgraphs read or write."""
    for node in graph.node:
        node.input[:] = [real(name) if name else name for name in node.input]
        node.output[:] = [real(name) if name else name for name in node.output]
        for attribute in node.attribute:
            # Accessing an absent `g` would create it.
            for inner in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                rename_values(inner, real)
                for value in (*inner.input, *inner.output):
                    value.name = real(value.name)
    for constant in graph.initializer:
        constant.name = real(constant.name)
    # Inferred shapes of inner values have unnamed batch axes; readers of the file infer them again.
    del graph.value_info[:]
