"""Parquet log files, split into units of rows that can be read independently."""

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from kranking._rows._files import LogFile, sha256_of
from kranking._rows._folder_columns import is_stated
from kranking._rows._in_memory import check_names
from kranking._rows._origin import Origin
from kranking._rows._unit import Unit, rows_of

_BUFFER = 1 << 20  # bytes of a column read at a time, so that no row group is fully in memory


class ParquetSource:
    """Parquet files as one table that is never fully in memory.

    The columns of a file are its own and those that its folders state. Where pages have a checksum, it is
    verified.

    Args:
        files: The files.
        unit_rows: Row groups with fewer rows are read together.

    Raises:
        ValueError: If a file cannot be read or has a column twice.
    """

    def __init__(self, files: Sequence[LogFile], unit_rows: int):
        self.files = [file.name for file in files]
        self.log_files = {file.name: file for file in files}
        self.schemas: dict[str, pa.Schema] = {}
        self.units: list[Unit] = []
        for file in files:
            with open_parquet(file) as parquet:
                self.schemas[file.name] = with_keys(parquet.schema_arrow, file)
                metadata = parquet.metadata
                sizes = [metadata.row_group(g).num_rows for g in range(metadata.num_row_groups)]
            self.units += _units(file.name, sizes, unit_rows)

    def read(
        self, unit: Unit, columns: Sequence[str], rows: int
    ) -> Iterator[tuple[pa.RecordBatch, Origin]]:
        """Yields the rows of `unit` in order, at most `rows` at a time."""
        return rows_of(unit, self._batches(unit, list(columns), rows), rows)

    def sha256(self, file: str) -> str:
        """Returns the SHA-256 of a file."""
        return sha256_of(self.log_files[file])

    def _batches(self, unit: Unit, columns: list[str], rows: int) -> Iterator[pa.RecordBatch]:
        file = self.log_files[unit.file]
        with open_parquet(file, buffer_size=_BUFFER, pre_buffer=False) as parquet:
            own = [name for name in columns if name in parquet.schema_arrow.names]
            for batch in parquet.iter_batches(
                rows, row_groups=list(unit.groups), columns=own, use_threads=False
            ):
                yield add_keys(batch, file, columns)


def open_parquet(file: LogFile, **options: Any) -> pq.ParquetFile:
    """Opens a Parquet file; raises `ValueError` with its name if it is damaged or truncated."""
    try:
        return pq.ParquetFile(
            file.path,
            filesystem=file.filesystem,
            page_checksum_verification=True,
            coerce_int96_timestamp_unit="us",  # in nanoseconds, the year 9999 becomes 1816
            **options,
        )
    except (pa.ArrowException, OSError) as error:
        size = file.filesystem.get_file_info(file.path).size or 0
        raise ValueError(
            f"{file.name!r} cannot be read as Parquet: it is empty, truncated or in another format. "
            f"Received: {size} bytes. Arrow error: {error}"
        ) from error


def with_keys(schema: pa.Schema, file: LogFile) -> pa.Schema:
    """Returns the schema of a file with the columns that its folders state."""
    check_names(schema.names, repr(file.name))
    for name, value in file.keys.items():
        if name not in schema.names:
            schema = schema.append(pa.field(name, value.type))
    return schema


def add_keys(batch: pa.RecordBatch, file: LogFile, columns: Sequence[str]) -> pa.RecordBatch:
    """Returns the named columns of a batch, with those that the folders of its file state.

    Raises:
        ValueError: If a column of the batch has other values than its folder states.
    """
    arrays = dict(zip(batch.schema.names, batch.columns))
    for name in file.keys.keys() & set(columns):
        if name in arrays:
            _check_key(arrays[name], name, file)
        else:
            arrays[name] = pa.repeat(file.keys[name], batch.num_rows)
    if not columns:
        return batch
    return pa.RecordBatch.from_arrays([arrays[name] for name in columns], names=list(columns))


def _check_key(array: pa.Array, name: str, file: LogFile) -> None:
    stated = file.keys[name].as_py()
    found = pc.unique(array).to_pylist()  # pyright: ignore
    other = [value for value in found if not is_stated(value, stated)]
    if other:
        raise ValueError(
            f"Column {name!r} must have one value per row. Received: {stated!r} in the name of a folder "
            f"and {other[0]!r} in the file {file.name!r}"
        )


def _units(file: str, sizes: Sequence[int], unit_rows: int) -> list[Unit]:
    units, groups, rows, first = [], [], 0, 0
    for group, size in enumerate(sizes):
        groups.append(group)
        rows += size
        if rows and (rows >= unit_rows or group == len(sizes) - 1):
            units.append(Unit(file, tuple(groups), first, 0, rows))
            first, groups, rows = first + rows, [], 0
    return units
