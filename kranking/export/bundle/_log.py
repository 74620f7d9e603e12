"""A log in Parquet, as a bundle reads it: checked by its schema, in batches, never whole in memory."""

import bisect
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from kranking.features import Feature, Preprocessor, find_files
from kranking.features.internal import Origin, open_parquet

_BATCH = 4096  # rows read at a time
_BUFFER = 1 << 20  # bytes of a column read at a time: no row group lies in memory whole


def open_log(paths: Any, features: Sequence[Feature], keep: Sequence[str] = ()) -> list[str]:
    """Gives the files of a log, or raises unless each has every column that is needed, of its type.

    Args:
        paths: Path, folder, glob or a list of them.
        features: Declarations that read columns.
        keep: Other columns that are needed.
    """
    files, preprocessor = find_files(paths), Preprocessor(features)
    for file in files:
        with open_parquet(file) as parquet:
            schema = parquet.schema_arrow
        preprocessor.check_schema(schema, Origin(file))
        missing = [name for name in keep if name not in schema.names]
        if missing:
            raise ValueError(
                f"`keep` should name columns that {file} has. "
                f"Received: {missing}; it has {sorted(schema.names)}"
            )
    return files


def read_batches(
    file: str, columns: Sequence[str], rows: int, groups: Sequence[int] | None = None
) -> Iterator[pa.RecordBatch]:
    """Gives the rows of a file, or of some of its row groups, in order, at most `rows` at a time."""
    with pq.ParquetFile(file, buffer_size=_BUFFER, pre_buffer=False) as parquet:
        yield from parquet.iter_batches(
            rows, row_groups=groups, columns=list(columns), use_threads=False
        )


class LogRows:
    """The rows of a Parquet file in order, taken as many at a time as is asked for.

    Args:
        file: The file.
        columns: The columns to read.
        first: The row to begin with; row groups before it are not read.
    """

    def __init__(self, file: str, columns: Sequence[str], first: int = 0):
        with open_parquet(file) as parquet:
            metadata = parquet.metadata
            sizes = [metadata.row_group(g).num_rows for g in range(metadata.num_row_groups)]
        begins = [0, *itertools.accumulate(sizes)]
        group = bisect.bisect_right(begins, first) - 1
        self._file, self._position = file, begins[group]
        self._batches = read_batches(file, columns, _BATCH, range(group, len(sizes)))
        self._held: list[pa.RecordBatch] = []
        self.skip_to(first)

    def skip_to(self, row: int) -> None:
        """Drops the rows before a row."""
        while self._position < row:
            self.take(min(_BATCH, row - self._position))

    def take(self, count: int) -> pa.Table:
        """Gives the next `count` rows, of at least one."""
        have = sum(batch.num_rows for batch in self._held)
        while have < count:
            batch = next(self._batches, None)
            if batch is None:
                raise ValueError(
                    f"{self._file} has changed since it was opened. Received: {self._position + have} "
                    f"rows, where there were {self._position + count} or more"
                )
            self._held.append(batch)
            have += batch.num_rows
        table = pa.Table.from_batches(self._held)
        self._held = table.slice(count).to_batches()
        self._position += count
        return table.slice(0, count)


def first_rows(files: Sequence[str], columns: Sequence[str], rows: int) -> dict[str, Any]:
    """Gives columns of the first rows of a log."""
    kept, left = [], rows
    for batch in (b for file in files for b in read_batches(file, columns, rows)):
        kept.append(pa.table(batch.slice(0, left)))
        left -= kept[-1].num_rows
        if not left:
            break
    if left == rows:
        raise ValueError(f"A log to compare on should have rows. Received: none in {files[:5]}")
    table = pa.concat_tables(kept, promote_options="permissive")
    return {name: table[name].combine_chunks() for name in columns}
