"""A log in Parquet, as a bundle reads it: checked by its schema, in batches, never whole in memory."""

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from kranking.features import Feature, Origin, Preprocessor, find_files, open_parquet

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
