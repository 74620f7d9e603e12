"""Rows of files whose types differ, in one schema."""

from collections.abc import Iterator, Sequence

import pyarrow as pa

from kranking._rows import Origin, Source, as_arrow, plain_type

_ROWS = 65_536


def batches_of(
    source: Source, columns: Sequence[str] | None = None
) -> Iterator[tuple[pa.RecordBatch, Origin]]:
    """Yields all rows with the same columns and types, which are those of Arrow's plain types.

    Args:
        source: Source of the rows.
        columns: Columns to read; `None` means all.

    Raises:
        ValueError: If files differ in columns or in types that cannot be converted.
    """
    schema = _schema(source)
    if columns is not None:
        schema = pa.schema([schema.field(name) for name in columns])
    for unit in source.units:
        for batch, origin in source.read(unit, schema.names, _ROWS):
            arrays = [as_arrow(batch.column(f.name), f.name).cast(f.type) for f in schema]
            yield pa.RecordBatch.from_arrays(arrays, schema=schema), origin


def _schema(source: Source) -> pa.Schema:
    """Returns the schema of all files; raises `ValueError` if they have no schema in common."""
    schemas = [
        (file, pa.schema([(field.name, plain_type(field.type)) for field in schema]))
        for file, schema in source.schemas.items()
    ]
    for file, schema in schemas:
        if set(schema.names) != set(schemas[0][1].names):
            raise ValueError(
                f"All files must have the same columns. Received: {schemas[0][1].names} in "
                f"{schemas[0][0]!r} and {schema.names} in {file!r}"
            )
    try:
        return pa.unify_schemas([schema for _, schema in schemas], promote_options="permissive")
    except pa.ArrowException as error:
        raise ValueError(
            f"Columns must have the same type in all files. Received: {error}, in {source.files[:5]}"
        ) from error
