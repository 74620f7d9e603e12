"""Replacing nodes of an ONNX graph."""

from typing import Any

from kranking.export.rewrites._nodes import read_by

# What a rule wants: by the first output of a node, the nodes that make all of its outputs in its stead.
Changes = dict[str, list[Any]]


def rewrite(graph: Any, changes: Changes) -> None:
    """Puts nodes in the place of others, in an order that holds, and drops what nothing reads any more."""
    nodes = []
    for old in graph.node:
        new = changes.get(next(iter(old.output), ""))
        nodes += [type(old).FromString(old.SerializeToString())] if new is None else new
    needed = {value.name for value in graph.output}
    kept = []
    for one in reversed(_in_order(nodes)):  # who reads comes after who makes
        if needed & set(one.output):
            kept.append(one)
            needed |= set(read_by(one))
    del graph.node[:]
    graph.node.extend(reversed(kept))
    for i in reversed(range(len(graph.initializer))):  # of one that nothing reads, runtimes warn
        if graph.initializer[i].name not in needed:
            del graph.initializer[i]


def _in_order(nodes: list[Any]) -> list[Any]:
    """Gives nodes so that each comes after those that make what it reads."""
    missing = {output for one in nodes for output in one.output} - {""}  # one that nobody wants
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
            raise AssertionError("A rule of fusion made a circle of nodes")
        nodes = later
    return ordered
