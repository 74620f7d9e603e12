"""Replacement of nodes in an ONNX graph."""

from typing import Any

from kranking.export.rewrites._nodes import read_by

# Changes of a rule: by the first output of a node, the nodes that compute all of its outputs instead.
Changes = dict[str, list[Any]]


def rewrite(graph: Any, changes: Changes) -> None:
    """Replaces nodes, sorts the graph topologically, and removes unused nodes and constants."""
    nodes = []
    for old in graph.node:
        new = changes.get(next(iter(old.output), ""))
        nodes += [type(old).FromString(old.SerializeToString())] if new is None else new
    needed = {value.name for value in graph.output}
    kept = []
    for one in reversed(_in_order(nodes)):  # readers come after producers
        if needed & set(one.output):
            kept.append(one)
            needed |= set(read_by(one))
    del graph.node[:]
    graph.node.extend(reversed(kept))
    for i in reversed(range(len(graph.initializer))):  # runtimes warn of unused constants
        if graph.initializer[i].name not in needed:
            del graph.initializer[i]


def _in_order(nodes: list[Any]) -> list[Any]:
    """Returns nodes in topological order: each after the nodes whose outputs it reads."""
    missing = {output for one in nodes for output in one.output} - {
        ""
    }  # an omitted optional output
    ordered = []
    while nodes:
        later = []
        for one in nodes:
            if missing & set(read_by(one)):
                later.append(one)
            else:
                ordered.append(one)
                missing -= set(one.output)
        if len(later) == len(nodes):
            raise AssertionError("A fusion rule created a cycle of nodes")
        nodes = later
    return ordered
