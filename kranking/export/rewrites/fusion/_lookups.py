"""Fusion rules for lookups: rows normalized at export, and only rows that are used."""

from typing import Any

import numpy as np

from kranking.export.rewrites.fusion._graph import Graph, node
from kranking.export.rewrites.fusion._rewrite import Changes

_LARGEST = 2**20  # bytes of a table that may be stored twice


def look_up_unit_rows(graph: Graph) -> Changes:
    """Looks up normalized rows instead of normalizing each row after the lookup.

    `l2_normalize(T[i]) = U[i]`, where `U` contains the normalized rows of `T`. `T` is kept if it has other
    readers. For vectors that are not looked up, one operator is removed: the lower bound that keeps the
    gradient of the square root finite has no effect in inference.
    """
    changes = {}
    for last in graph.nodes:
        square, least = _squared_length(graph, last)
        if square is None:
            continue
        output = last.output[0]
        found = _lookup(graph, last.input[0])
        if found is not None and (table := _small_table(graph, found[0])) is not None:
            lookup, place = found
            unit = graph.constant(f"{lookup.input[0]}/unit", _unit(table, least))
            changes[output] = [
                graph.take(lookup.input[1], place, 1, f"{output}/row"),
                node("Gather", [unit, f"{output}/row"], output, axis=0),
            ]
        else:
            changes[output] = _scaling(graph, last, square)
    return changes


def slice_before_lookup(graph: Graph) -> Changes:
    """Slices the positions of a list before the lookup: `T[i][:, a:b] = T[i[:, a:b]]`.

    Ids that were looked up together with a list then have their own lookup. Large tables keep a single
    lookup, because each one is a round trip if the table is split off.
    """
    changes = {}
    for lookup in graph.nodes:
        readers = graph.readers.get(lookup.output[0], [])
        parts = [graph.part(one) for one in readers]
        along = all(part is not None and part.axis == 1 for part in parts)
        small = _of_matrix(graph, lookup) and graph.bytes(lookup.input[0]) <= _LARGEST
        if not small or not along or graph.reads[lookup.output[0]] != len(readers):
            continue
        if all(_column(graph, one) is not None for one in readers):  # cheaper in one lookup
            continue
        table, ids = lookup.input
        for one, part in zip(readers, parts):
            last = _column(graph, one) or one
            output = last.output[0]
            places = f"{output}/places"
            cut = graph.cut(ids, part, places) if part else None
            taken = cut if last is one else graph.take(ids, part.start if part else 0, 1, places)
            changes[output] = [taken, node("Gather", [table, places], output, axis=0)]
    return changes


def _column(graph: Graph, slice_: Any) -> Any:
    """Returns the Squeeze of a slice of one column if it is the only reader, otherwise None."""
    readers = graph.readers.get(slice_.output[0], [])
    alone = len(readers) == 1 and graph.reads[slice_.output[0]] == 1
    squeeze = alone and readers[0].op_type == "Squeeze" and graph.axes(readers[0]) == [1]
    return readers[0] if squeeze else None


def _lookup(graph: Graph, x: str) -> tuple[Any, int] | None:
    """Returns the lookup that `x` is a position of, and the position, if only normalization reads `x`."""
    column = graph.inner(x, "Squeeze", reads=3)  # both factors of the square, and the division
    if column is None or graph.axes(column) != [1]:
        return None
    taken = graph.inner(column.input[0], "Slice")
    part = graph.part(taken)
    lookup = None if part is None or part.axis != 1 else graph.made_by.get(taken.input[0])
    return (lookup, part.start) if part and _of_matrix(graph, lookup) else None


def _of_matrix(graph: Graph, lookup: Any) -> bool:
    """Whether a node looks up rows by a matrix of ids."""
    ranks = (graph.rank(name) for name in lookup.input[:2]) if graph.looks_up(lookup) else ()
    return tuple(ranks) == (2, 2)


def _small_table(graph: Graph, lookup: Any) -> np.ndarray | None:
    if graph.bytes(lookup.input[0]) > _LARGEST:
        return None
    table = graph.constants.get(lookup.input[0])
    return table if table is not None and table.dtype == np.float32 else None


def _squared_length(graph: Graph, last: Any) -> tuple[Any, float]:
    """Returns the squared length of a division by a length, and the bound below which it counts as 0."""
    choice = graph.inner(last.input[1], "Where") if last.op_type == "Div" else None
    if choice is None or graph.number(choice.input[1]) != np.inf:
        return None, 0.0
    short, root = graph.inner(choice.input[0], "LessOrEqual"), graph.inner(choice.input[2], "Sqrt")
    bounded = root and graph.inner(root.input[0], "Max")
    if short is None or bounded is None:
        return None, 0.0
    square = graph.inner(short.input[0], "ReduceSum", reads=2)
    least = graph.number(short.input[1])
    same = bounded.input[0] == short.input[0] and graph.number(bounded.input[1]) == least
    if square is None or least is None or not same or not graph.reduces(square, -1, True):
        return None, 0.0
    product = graph.inner(square.input[0], "Mul")
    x = last.input[0]
    return (square, least) if product is not None and list(product.input) == [x, x] else (None, 0.0)


def _scaling(graph: Graph, last: Any, square: Any) -> list[Any]:
    """Returns the nodes of `x / sqrt(short ? ∞ : square)`."""
    output = last.output[0]
    choice = graph.made_by[last.input[1]]
    short, infinity, _ = choice.input
    return [
        node("Where", [short, infinity, square.output[0]], f"{output}/square"),
        node("Sqrt", [f"{output}/square"], f"{output}/length"),
        node("Div", [last.input[0], f"{output}/length"], output),
    ]


def _unit(table: np.ndarray, least: float) -> np.ndarray:
    with np.errstate(over="ignore", invalid="ignore"):  # as in the graph, which does not warn
        square = np.sum(np.square(table), axis=-1, keepdims=True)
        length = np.where(square <= np.float32(least), np.float32(np.inf), np.sqrt(square))
        return table / length
