"""Rows in memory and datasets of pyarrow, read like files."""

import contextlib
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.dataset as pads

from kranking._rows._column import as_arrow
from kranking._rows._in_memory import check_names
from kranking._rows._origin import Origin
from kranking._rows._unit import Unit, rows_of
from kranking._rows._zones import check_zones, stored_schemas

_ROWS = 65_536
_PARQUET = pads.ParquetFileFragment


class TableSource:
    """Columns in memory; a column is converted when it is read.

    Args:
        columns: The columns by name.
        read: Names of those that are read; `None` means all that can be converted. The schema has type
            null for the others.
        unit_rows: Number of rows of a unit.

    Raises:
        ValueError: If a column that is read is no column, or the columns have different lengths.
    """

    def __init__(
        self, columns: Mapping[str, Any], read: Sequence[str] | None = None, unit_rows: int = _ROWS
    ):
        self._columns, self._arrays = columns, {}
        name = Origin().file
        self.files = [name]
        lengths = {}
        for column in columns:
            if read is None or column in read:
                with contextlib.suppress(*([ValueError] if read is None else [])):
                    lengths[column] = len(self._array(column))
        if len(set(lengths.values())) > 1:
            raise ValueError(f"Columns must have equal lengths. Received: {lengths}")
        rows = next(iter(lengths.values()), 0)
        types = [(c, self._arrays[c].type if c in self._arrays else pa.null()) for c in columns]
        self.schemas = {name: pa.schema(types)}
        starts = range(0, rows, unit_rows)
        self.units = [Unit(name, (), start, 0, min(unit_rows, rows - start)) for start in starts]

    def read(
        self, unit: Unit, columns: Sequence[str], rows: int
    ) -> Iterator[tuple[pa.RecordBatch, Origin]]:
        """Yields the rows of `unit` in order, at most `rows` at a time."""
        arrays = [self._array(name) for name in columns]
        whole = pa.RecordBatch.from_arrays(arrays, names=list(columns))
        return rows_of(unit, [whole.slice(unit.first_row, unit.skip + unit.rows)], rows)

    def sha256(self, file: str) -> str:
        """Returns the SHA-256 of the columns that are read."""
        return _sha256(self, file, list(self._arrays))

    def _array(self, name: str) -> pa.Array:
        if name not in self._arrays:
            self._arrays[name] = as_arrow(self._columns[name], name)
        return self._arrays[name]


class DatasetSource:
    """A dataset of pyarrow, of any format, file system and partitioning.

    Args:
        dataset: The dataset. If it has a filter, its rows are read as one stream.

    Raises:
        ValueError: If the dataset has a column twice, or a column of times that have a zone in some files
            only.
    """

    def __init__(self, dataset: pads.Dataset):
        check_names(dataset.schema.names, "the given dataset")
        self._schema = dataset.schema
        try:
            parts: list[Any] = list(dataset.get_fragments())
        except ValueError:  # with a filter
            parts = [dataset]
        self._parts, self.units, self.schemas = [], [], {}
        zones: dict[str, Any] = {}
        for part in parts:
            name = getattr(part, "path", "the given dataset")
            try:
                known = _names(part)
                groups = part.split_by_row_group() if isinstance(part, _PARQUET) else [part]
                self._add(name, [(group, _count(group)) for group in groups])
                check_zones(stored_schemas(part), zones)
            except (pa.ArrowException, OSError) as error:
                raise ValueError(f"{name!r} cannot be read. Arrow says: {error}") from error
            self.schemas[name] = pa.schema([f for f in dataset.schema if f.name in known])
        self.files = list(self.schemas)

    def _add(self, name: str, groups: Sequence[tuple[Any, int]]) -> None:
        first = 0
        for group, rows in groups:
            if rows:
                self.units.append(Unit(name, (len(self._parts),), first, 0, rows))
                self._parts.append(group)
            first += rows

    def read(
        self, unit: Unit, columns: Sequence[str], rows: int
    ) -> Iterator[tuple[pa.RecordBatch, Origin]]:
        """Yields the rows of `unit` in order, at most `rows` at a time."""
        return rows_of(unit, self._batches(unit, columns, rows), rows)

    def _batches(self, unit: Unit, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
        part = self._parts[unit.groups[0]]
        options: dict[str, Any] = {}
        if not isinstance(part, pads.Dataset):
            options["schema"] = self._schema
        if isinstance(part, _PARQUET):
            checked = pads.ParquetFragmentScanOptions(page_checksum_verification=True)
            options["fragment_scan_options"] = checked
        yield from part.to_batches(
            columns=list(columns), batch_size=rows, use_threads=False, batch_readahead=1, **options
        )

    def sha256(self, file: str) -> str:
        """Returns the SHA-256 of the columns of a file."""
        return _sha256(self, file, self.schemas[file].names)


def _sha256(source: Any, file: str, columns: Sequence[str]) -> str:
    types = [(name, str(source.schemas[file].field(name).type)) for name in columns]
    digest = hashlib.sha256(repr(types).encode())
    for unit in source.units:
        if unit.file == file:
            for batch, _ in source.read(unit, columns, _ROWS):
                digest.update(batch.serialize())
    return digest.hexdigest()


def _count(part: Any) -> int:
    # `count_rows` of a part of the row groups counts those of the whole file, in Arrow 26.
    groups = part.row_groups if isinstance(part, _PARQUET) else None
    return part.count_rows() if groups is None else sum(group.num_rows for group in groups)


def _names(part: Any) -> set[str]:
    """Returns the columns of a fragment; of those that it lacks, Arrow would return nulls."""
    if isinstance(part, pads.Dataset):
        return set(part.schema.names)
    return {*part.physical_schema.names, *pads.get_partition_keys(part.partition_expression)}
