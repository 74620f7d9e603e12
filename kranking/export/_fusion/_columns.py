"""Joined columns of which a graph needs a few."""

from typing import Any

from kranking.export._fusion._graph import Changes, Graph, Part, node
from kranking.export._nodes import axis_of

_BY_ELEMENT = ("Add", "And", "Cast", "GreaterOrEqual", "LessOrEqual", "Where")


def narrow_columns(graph: Graph) -> Changes:
    """Computes of joined columns those that are read: `f(concat(x, y))[:, :a] = f(x)`.

    A whole model checks all ids at once. Half of one would ask for inputs that it does nothing with.
    """
    changes: Changes = {}
    for last in graph.nodes:
        part = graph.part(last)
        if last.op_type == "Gather" and axis_of(last) == 1 and graph.rank(last.input[1]) == 0:
            place = int(graph.number(last.input[1]) or 0)
            part = Part(1, place, place + 1)
        if part is None or part.axis != 1 or not _leaves_some(graph, last.input[0], part):
            continue
        output = last.output[0]
        narrow = _Narrow(graph, part, output)
        x = narrow.of(last.input[0])
        taken = last.op_type == "Gather"
        changes[output] = [
            *narrow.nodes,
            graph.take(x, 0, 1, output) if taken else node("Identity", [x], output),
        ]
    return changes


class _Narrow:
    """Writes nodes anew for a part of the columns."""

    def __init__(self, graph: Graph, part: Part, prefix: str):
        self.graph, self.part, self.prefix = graph, part, prefix
        self.nodes: list[Any] = []

    def of(self, name: str) -> str:
        """Gives the name of the part of a value, or the value itself if it is the same for all columns."""
        graph, made = self.graph, self.graph.made_by.get(name)
        output = f"{self.prefix}/{name}"
        if graph.shapes.get(name, (None,))[-1:] in ((), (1,)):  # broadcast over columns
            return name
        if name in graph.constants:
            columns = graph.constants[name][..., self.part.start : self.part.end]
            return graph.constant(output, columns)
        if any(output in one.output for one in self.nodes):
            return output
        if made is not None and made.op_type in _BY_ELEMENT:
            given = [self.of(x) for x in made.input]
            copy = type(made).FromString(made.SerializeToString())
            copy.input[:], copy.output[:], copy.name = given, [output], output
            self.nodes.append(copy)
        else:
            self._join(name, output)
        return output

    def _join(self, name: str, output: str) -> None:
        pieces = _pieces(self.graph, name, self.part) or [(name, self.part)]
        parts = []
        for x, part in pieces:
            whole = self.graph.shapes.get(x, ())[1:] == (part.end - part.start,)
            parts.append(x if whole else f"{output}/{len(parts)}")
            if not whole:
                self.nodes.append(self.graph.cut(x, part, parts[-1]))
        kind, axis = ("Concat", {"axis": 1}) if len(parts) > 1 else ("Identity", {})
        self.nodes.append(node(kind, parts, output, **axis))


def _leaves_some(graph: Graph, name: str, part: Part) -> bool:
    """Says whether a part of a value needs not all columns that were joined for it."""
    made = graph.made_by.get(name)
    if made is not None and made.op_type in _BY_ELEMENT and graph.rank(name) == 2:
        return any(_leaves_some(graph, x, part) for x in made.input)
    pieces = _pieces(graph, name, part)
    return bool(pieces) and made is not None and len(pieces) < len(made.input)


def _pieces(graph: Graph, name: str, part: Part) -> list[tuple[str, Part]]:
    """Gives the joined values that a part of columns lies in, and its part of each."""
    joined = graph.maker(name, "Concat")
    if joined is None or axis_of(joined) not in (1, -1) or graph.rank(name) != 2:
        return []
    found, start = [], 0
    for x in joined.input:
        width = graph.shapes.get(x, (None, None))[1]
        if width is None:
            return []
        first, last = max(part.start - start, 0), min(part.end - start, width)
        if first < last:
            found.append((x, Part(1, first, last)))
        start += width
    return found
