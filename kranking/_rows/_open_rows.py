"""The one door for rows: whatever a call accepts as rows, read block by block or as columns."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.dataset as pads

from kranking._rows._column import as_arrow
from kranking._rows._csv_source import CsvSource
from kranking._rows._files import CSV, PARQUET, LogFile, find_log_files
from kranking._rows._in_memory import columns_in
from kranking._rows._parquet_source import ParquetSource
from kranking._rows._table_source import DatasetSource, TableSource
from kranking._rows._unit import Unit

Source = ParquetSource | CsvSource | TableSource | DatasetSource
_ROWS = 65_536


def open_rows(
    rows: Any,
    columns: Sequence[str] | None = None,
    *,
    declared: Mapping[str, pa.DataType] | None = None,
    unit_rows: int = _ROWS,
    suffixes: Sequence[str] = (*PARQUET, *CSV),
    delimiter: str | None = None,
    list_separator: str = " ",
) -> Source:
    """Returns a source of rows: `files`, `schemas` by file, `units` of rows, and `read`.

    Args:
        rows: Rows in memory (see `columns_in`), a `pyarrow.dataset.Dataset`, or paths, folders, globs and
            URLs of Parquet or CSV files.
        columns: Names of the columns that are read; `None` means all.
        declared: Types of the columns of CSV files and of those that folders state.
        unit_rows: Rows of a unit in memory; row groups of Parquet files with fewer rows are read together.
        suffixes: Suffixes of the files that are looked for in folders.
        delimiter: Separator of columns in CSV files; `None` follows from the suffix.
        list_separator: Separator of the values of a list in CSV files.

    Raises:
        ValueError: If the rows are none of these, no file matches, a file is damaged, or a column is
            there twice.
    """
    rows = repeatable(rows)
    if isinstance(rows, pads.Dataset):
        return DatasetSource(rows)
    memory = columns_in(rows)
    if memory is not None:
        return TableSource(memory, columns, unit_rows)
    files = find_log_files(rows, suffixes, declared)
    of_csv = [_is_csv(file, tuple(suffixes)) for file in files]
    if all(of_csv):
        return CsvSource(files, declared or {}, delimiter, list_separator)
    if any(of_csv):
        first, other = files[of_csv.index(False)], files[of_csv.index(True)]
        raise ValueError(
            "`paths` must match files of one format. Received: "
            f"{first.name!r} as Parquet and {other.name!r} as CSV; use a glob"
        )
    return ParquetSource(files, unit_rows)


def repeatable(rows: Any) -> Any:
    """Returns rows that can be read more than once: those of a generator or of a reader of batches too."""
    if isinstance(rows, pa.RecordBatchReader):
        return rows.read_all()
    return list(rows) if isinstance(rows, Iterator) and not hasattr(rows, "read") else rows


def _is_csv(file: LogFile, suffixes: tuple[str, ...]) -> bool:
    """Whether a file is CSV: by the format that was asked for, its suffix, or its first bytes."""
    if suffixes in (PARQUET, CSV):
        return suffixes == CSV
    name = file.path.lower()
    if name.endswith((*PARQUET, *CSV)):
        return name.endswith(CSV)
    try:
        with file.filesystem.open_input_stream(file.path, compression=None) as stream:
            return stream.read(4) != b"PAR1"
    except OSError as error:
        raise ValueError(f"{file.name!r} cannot be read. Received: {error}") from error


def columns_of(
    rows: Any,
    columns: Sequence[str],
    declared: Callable[[], Mapping[str, pa.DataType]] | None = None,
) -> Mapping[str, Any]:
    """Returns columns by name, those in memory as they are, those of files as Arrow arrays.

    Args:
        rows: As for `open_rows`.
        columns: Names of the columns to read from files.
        declared: Returns the types of the columns of CSV files and of those that folders state.
    """
    rows = repeatable(rows)
    memory = None if isinstance(rows, pads.Dataset) else columns_in(rows)
    if memory is not None:
        return memory
    source = open_rows(rows, columns, declared=declared() if declared else None)
    return first_rows(source, columns, sum(unit.rows for unit in source.units))


def first_rows(source: Source, columns: Sequence[str], rows: int) -> dict[str, pa.Array]:
    """Returns columns of the first rows of a source, without those that no file has.

    Raises:
        ValueError: If there are no rows, or a column has different types in two files.
    """
    known = {name for schema in source.schemas.values() for name in schema.names}
    columns = [name for name in columns if name in known]
    tables, left = [], rows
    for unit in source.units:
        if left <= 0:
            break
        _check_present(source, unit, columns)
        for batch, _ in source.read(unit, columns, min(rows, _ROWS)):
            tables.append(pa.Table.from_batches([batch.slice(0, left)]))
            left -= tables[-1].num_rows
            if not left:
                break
    if not tables:
        raise ValueError(
            f"The log must have at least one row. Received: no rows in {source.files[:5]}"
        )
    return {name: _joined(name, tables, source.files) for name in columns}


def _check_present(source: Source, unit: Unit, columns: Sequence[str]) -> None:
    missing = [name for name in columns if name not in source.schemas[unit.file].names]
    if missing:
        raise ValueError(
            f"Every file must have the columns {list(columns)}. Received: {unit.file!r}, which does not "
            f"have {missing}"
        )


def _joined(name: str, tables: Sequence[pa.Table], files: Sequence[str]) -> pa.Array:
    parts = [pa.table({name: as_arrow(table[name], name)}) for table in tables]
    try:
        schema = pa.unify_schemas([part.schema for part in parts], promote_options="permissive")
        return as_arrow(pa.concat_tables([part.cast(schema) for part in parts])[name], name)
    except pa.ArrowException as error:
        raise ValueError(
            f"Column {name!r} must have the same type in all files. Received: {error}, in {files[:5]}"
        ) from error
