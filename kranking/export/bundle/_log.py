"""Reading a Parquet log for a bundle: after a check of its schema, and in batches."""

import bisect
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from kranking.features import Feature, Preprocessor, find_files
from kranking.features.internal import Origin, open_parquet

_BATCH = 4096  # rows read at a time
_BUFFER = 1 << 20  # bytes of a column read at a time: no row group is in memory as a whole


def open_log(paths: Any, features: Sequence[Feature], keep: Sequence[str] = ()) -> list[str]:
    """Returns the files of a log after checking that each has all required columns with their types.

    Args:
        paths: Path, folder, glob or a list of them.
        features: Features whose columns are required.
        keep: Names of other required columns.

    Raises:
        ValueError: If a column is missing or has a wrong type.
    """
    files, preprocessor = find_files(paths), Preprocessor(features)
    for file in files:
        with open_parquet(file) as parquet:
            schema = parquet.schema_arrow
        preprocessor.check_schema(schema, Origin(file))
        missing = [name for name in keep if name not in schema.names]
        if missing:
            raise ValueError(
                f"`keep` must be columns of {file}, which has {sorted(schema.names)}. "
                f"Received: unknown columns {missing}"
            )
    return files


def read_batches(
    file: str, columns: Sequence[str], rows: int, groups: Sequence[int] | None = None
) -> Iterator[pa.RecordBatch]:
    """Yields the rows of a file, or of some of its row groups, in order and at most `rows` at a time."""
    with pq.ParquetFile(file, buffer_size=_BUFFER, pre_buffer=False) as parquet:
        yield from parquet.iter_batches(
            rows, row_groups=groups, columns=list(columns), use_threads=False
        )


class LogRows:
    """Sequential reader of a Parquet file that returns any number of rows at a time.

    Args:
        file: Path of the file.
        columns: Columns to read.
        first: First row to read. Row groups before it are skipped.
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
        """Skips the rows before `row`."""
        while self._position < row:
            self.take(min(_BATCH, row - self._position))

    def take(self, count: int) -> pa.Table:
        """Returns the next `count` rows; `count` is at least 1."""
        have = sum(batch.num_rows for batch in self._held)
        while have < count:
            batch = next(self._batches, None)
            if batch is None:
                raise ValueError(
                    f"{self._file} was changed after it was opened: it must still have at least "
                    f"{self._position + count} rows. Received: {self._position + have} rows"
                )
            self._held.append(batch)
            have += batch.num_rows
        table = pa.Table.from_batches(self._held)
        self._held = table.slice(count).to_batches()
        self._position += count
        return table.slice(0, count)


def first_rows(files: Sequence[str], columns: Sequence[str], rows: int) -> dict[str, Any]:
    """Returns columns of the first rows of a log."""
    kept, left = [], rows
    for batch in (b for file in files for b in read_batches(file, columns, rows)):
        kept.append(pa.table(batch.slice(0, left)))
        left -= kept[-1].num_rows
        if not left:
            break
    if left == rows:
        raise ValueError(f"The log must have at least one row. Received: no rows in {files[:5]}")
    table = pa.concat_tables(kept, promote_options="permissive")
    return {name: table[name].combine_chunks() for name in columns}
