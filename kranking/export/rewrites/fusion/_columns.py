"""Fusion rule for concatenated columns of which a graph only needs a part."""

from typing import Any

import numpy as np

from kranking.export.rewrites._nodes import axis_of
from kranking.export.rewrites.fusion._graph import Graph, Part, node
from kranking.export.rewrites.fusion._rewrite import Changes

_BY_ELEMENT = ("Add", "And", "Cast", "GreaterOrEqual", "LessOrEqual", "Where")


def narrow_columns(graph: Graph) -> Changes:
    """Concatenates only columns that are read: `f(concat(x, y))[:, :a] = f(x)` for elementwise `f`.

    A complete model checks all ids in one operation. Without this rule, a part of it would have inputs
    that it does not need.
    """
    for last in graph.nodes:
        if last.op_type in _BY_ELEMENT and (changes := _narrow_one(graph, last.output[0])):
            return changes  # one at a time, as following nodes have changed
    return {}


def _narrow_one(graph: Graph, name: str) -> Changes:
    joined, parts = _joined(graph, name), _parts_read(graph, name)
    if joined is None or parts is None:
        return {}
    widths = [(graph.shapes.get(x) or (0,))[-1] or 0 for x in joined.input]
    if 0 in widths:
        return {}
    ends = np.cumsum(widths).tolist()
    needed = [
        any(part.start < end and part.end > end - width for _, part in parts)
        for width, end in zip(widths, ends)
    ]
    if all(needed) or not parts:
        return {}
    kept = [x for x, read in zip(joined.input, needed) if read]
    # New index of a column, by its old index.
    flags = np.repeat(needed, widths)
    places = np.cumsum(flags) - 1
    narrow = _Copy(graph, joined, kept, flags, f"{name}/narrow")
    x = narrow.of(name)
    changes: Changes = {}
    for output, part in parts:
        start = int(places[part.start])
        maker = graph.made_by[output]
        if maker.op_type == "Gather":
            made = graph.take(x, start, 1, output)
        else:
            made = graph.cut(x, Part(1, start, start + part.end - part.start), output)
        changes.setdefault(maker.output[0], []).append(made)
    next(iter(changes.values())).extend(narrow.nodes)
    return changes


def _joined(graph: Graph, name: str) -> Any:
    """Returns the only Concat that a value is computed from, elementwise with constants, or None."""
    if graph.rank(name) != 2:
        return None
    found, asked, seen = set(), [name], set()
    while asked:
        one = asked.pop()
        maker = graph.made_by.get(one)
        if one in seen or one in graph.constants:
            continue
        seen.add(one)
        if maker is not None and maker.op_type in _BY_ELEMENT:
            asked.extend(maker.input)
        elif maker is not None and maker.op_type == "Concat" and axis_of(maker) in (1, -1):
            found.add(one)
        else:
            return None
    return graph.made_by[found.pop()] if len(found) == 1 else None


def _parts_read(graph: Graph, name: str) -> list[tuple[str, Part]] | None:
    """Returns the column ranges that readers of a value take, or None if any reader takes others."""
    readers = graph.readers.get(name, [])
    if not readers or graph.reads[name] != len(readers):
        return None
    found: list[tuple[str, Part]] = []
    for reader in readers:
        if reader.op_type == "Split" and axis_of(reader) == 1:
            sizes = [(graph.shapes.get(output) or (0,))[-1] or 0 for output in reader.output]
            if 0 in sizes:
                return None
            parts = [Part(1, e - s, e) for s, e in zip(sizes, np.cumsum(sizes).tolist())]
            found += [(o, part) for o, part in zip(reader.output, parts) if graph.reads[o]]
            continue
        part = graph.part(reader)
        place = graph.number(reader.input[1]) if reader.op_type == "Gather" else None
        if place is not None and axis_of(reader) == 1 and graph.rank(reader.input[1]) == 0:
            part = Part(1, int(place), int(place) + 1)
        width = (graph.shapes.get(name) or (None,))[-1]
        if part is None or part.axis != 1 or width is None or not 0 <= part.start < part.end:
            return None
        found.append((reader.output[0], Part(1, part.start, min(part.end, width))))
    return found


class _Copy:
    """Copies nodes for the columns that are needed."""

    def __init__(self, graph: Graph, joined: Any, kept: list[str], flags: np.ndarray, prefix: str):
        self.graph, self.joined, self.kept = graph, joined, kept
        self.flags, self.prefix = flags, prefix
        self.nodes: list[Any] = []

    def of(self, name: str) -> str:
        """Returns the name of the copy of a value, or the name itself if all columns share the value."""
        output = f"{self.prefix}/{name}"
        if name in self.graph.constants:
            value = self.graph.constants[name]
            if value.ndim == 0 or value.shape[-1] == 1:
                return name
            return self.graph.constant(output, value[..., self.flags])
        if any(output in one.output for one in self.nodes):
            return output
        if name == self.joined.output[0]:
            alone = len(self.kept) == 1
            join = ("Identity", {}) if alone else ("Concat", {"axis": 1})
            self.nodes.append(node(join[0], self.kept, output, **join[1]))
            return output
        maker = self.graph.made_by[name]
        copy = type(maker).FromString(maker.SerializeToString())
        copy.input[:] = [self.of(x) for x in maker.input]
        copy.output[:], copy.name = [output], output
        self.nodes.append(copy)
        return output
