"""Units of consecutive rows of a file, and their division into shards."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from kranking._rows._origin import Origin


class WrongValueError(Exception):
    """A value of another type than its column: the column, the expected kind, and the value."""


@dataclass(frozen=True)
class Unit:
    """Consecutive rows of a file that are read as one stream.

    Args:
        file: The file.
        groups: Row groups that contain the rows; empty for files without row groups.
        first_row: Row of the file at which the stream starts.
        skip: Number of rows of the stream before those of the unit.
        rows: Number of rows of the unit.
    """

    file: str
    groups: tuple[int, ...]
    first_row: int
    skip: int
    rows: int


def shard_of(units: Sequence[Unit], index: int, count: int) -> list[Unit]:
    """Returns one of `count` consecutive parts of the rows, whose sizes differ by at most one."""
    total = sum(unit.rows for unit in units)
    begin, end = total * index // count, total * (index + 1) // count
    kept, position = [], 0
    for unit in units:
        start, stop = max(begin - position, 0), min(end - position, unit.rows)
        if start < stop:
            kept.append(replace(unit, skip=unit.skip + start, rows=stop - start))
        position += unit.rows
    return kept


def rows_of(
    unit: Unit, batches: Iterable[pa.RecordBatch], rows: int
) -> Iterator[tuple[pa.RecordBatch, Origin]]:
    """Yields the rows of `unit` from the batches of its stream, at most `rows` at a time.

    Raises:
        ValueError: If the stream cannot be read or ends early; the message names the file and the
            row.
    """
    position, end = 0, unit.skip + unit.rows
    try:
        for batch in batches:
            start = min(max(unit.skip - position, 0), batch.num_rows)
            stop = min(batch.num_rows, end - position)
            for first in range(start, stop, rows):
                origin = Origin(unit.file, unit.first_row + position + first)
                yield batch.slice(first, min(rows, stop - first)), origin
            position += batch.num_rows
            if position >= end:
                return
    except WrongValueError as error:
        column, kind, value = error.args
        raise ValueError(
            f"Column {column!r} of {unit.file!r} must hold {kind}. Received: {value!r}, after row "
            f"{unit.first_row + position}"
        ) from error
    except (pa.ArrowException, OSError) as error:
        raise ValueError(
            f"{unit.file!r} cannot be read after row {unit.first_row + position}: it is damaged, has "
            f"changed, or holds a value of another type than its column. Arrow says: {error}"
        ) from error
    raise ValueError(
        f"{unit.file!r} has changed since it was opened. Expected: {unit.first_row + end} rows. "
        f"Received: {unit.first_row + position}"
    )
