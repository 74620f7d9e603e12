"""Reading rows for a bundle: after a check of their schema, and in batches."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa

from kranking._rows import Origin, Source, open_rows
from kranking.features import Feature, Preprocessor
from kranking.features.internal import column_types

_BATCH = 4096  # rows read at a time


def open_log(rows: Any, features: Sequence[Feature], keep: Sequence[str] = ()) -> Source:
    """Returns the source of rows after checking that all files have the required columns and types.

    Args:
        rows: Rows of any kind that `features.fit` accepts.
        features: Features whose columns are required.
        keep: Names of other required columns.

    Raises:
        ValueError: If a column is missing or has a wrong type.
    """
    preprocessor = Preprocessor(features)
    columns = list(dict.fromkeys([*preprocessor.columns, *keep]))
    source = open_rows(rows, columns, declared=column_types(features))
    for file in source.files:
        schema = source.schemas[file]
        preprocessor.check_schema(schema, Origin(file))
        missing = [name for name in keep if name not in schema.names]
        if missing:
            raise ValueError(
                f"`keep` must be columns of {file}, which has {sorted(schema.names)}. "
                f"Received: unknown columns {missing}"
            )
    return source


class LogRows:
    """Sequential reader of a file that returns any number of rows at a time.

    Args:
        source: Source of the rows.
        file: One of its files.
        columns: Columns to read.
        first: First row to read. Row groups before it are skipped.
    """

    def __init__(self, source: Source, file: str, columns: Sequence[str], first: int = 0):
        units = [unit for unit in source.units if unit.file == file]
        self._file, self._position = file, first
        self._batches = (
            batch
            for unit in units
            if (skip := max(first - unit.first_row, 0)) < unit.rows
            for batch, _ in source.read(
                replace(unit, skip=skip, rows=unit.rows - skip), columns, _BATCH
            )
        )
        self._held: list[pa.RecordBatch] = []

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
