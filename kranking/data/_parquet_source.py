"""Parquet log files, split into units of rows that can be read independently."""

from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from kranking.data._unit import Unit, rows_of
from kranking.features import find_files
from kranking.features.internal import Origin, open_parquet

_BUFFER = 1 << 20  # bytes of a column read at a time, so that no row group is fully in memory


class ParquetSource:
    """Parquet files as one table that is never fully in memory.

    Args:
        paths: Path, folder, glob or a list of them.
        unit_rows: Row groups with fewer rows are read together.

    Raises:
        ValueError: If no file matches or a file cannot be read.
    """

    def __init__(self, paths, unit_rows: int):
        self.files = find_files(paths)
        self.schemas: dict[str, pa.Schema] = {}
        self.units: list[Unit] = []
        for file in self.files:
            with open_parquet(file) as parquet:
                self.schemas[file] = parquet.schema_arrow
                metadata = parquet.metadata
                sizes = [metadata.row_group(g).num_rows for g in range(metadata.num_row_groups)]
            self.units += _units(file, sizes, unit_rows)

    def read(
        self, unit: Unit, columns: Sequence[str], rows: int
    ) -> Iterator[tuple[pa.RecordBatch, Origin]]:
        """Yields the rows of `unit` in order, at most `rows` at a time."""
        return rows_of(unit, self._batches(unit, list(columns), rows), rows)

    def _batches(self, unit, columns, rows):
        with pq.ParquetFile(unit.file, buffer_size=_BUFFER, pre_buffer=False) as parquet:
            yield from parquet.iter_batches(
                rows, row_groups=list(unit.groups), columns=columns, use_threads=False
            )


def _units(file, sizes, unit_rows):
    units, groups, rows, first = [], [], 0, 0
    for group, size in enumerate(sizes):
        groups.append(group)
        rows += size
        if rows and (rows >= unit_rows or group == len(sizes) - 1):
            units.append(Unit(file, tuple(groups), first, 0, rows))
            first, groups, rows = first + rows, [], 0
    return units
