"""Times with and without a zone in the files of a dataset, which Arrow casts to one another."""

from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.dataset as pads

from kranking._rows._plain import plain_type


def check_zones(
    schemas: Iterable[tuple[str, pa.Schema]], known: dict[str, tuple[bool, str]]
) -> None:
    """Raises `ValueError` if a column has times with a zone in one file and without in another.

    Arrow reads all files in the schema of the first one, and takes times without a zone for those of UTC.

    Args:
        schemas: Names of files with their schemas.
        known: Whether the times of a column have a zone, and the first file with it; it is added to.
    """
    for file, schema in schemas:
        for field in schema:
            kind = plain_type(field.type)
            kind = getattr(kind, "value_type", kind)
            if not pa.types.is_timestamp(kind):
                continue
            zoned, first = known.setdefault(field.name, (kind.tz is not None, file))
            if zoned != (kind.tz is not None):
                names = ("without", "with")
                raise ValueError(
                    f"Column {field.name!r} must have times with a time zone in all files or in none. "
                    f"Received: {names[zoned]} in {first!r} and {names[not zoned]} in {file!r}"
                )


def stored_schemas(part: Any) -> Iterator[tuple[str, pa.Schema]]:
    """Yields the schemas in which the files of a fragment or dataset were written."""
    if isinstance(part, pads.Fragment):
        yield getattr(part, "path", "the given dataset"), part.physical_schema
    elif isinstance(part, pads.FileSystemDataset):  # with a filter, its fragments cannot be listed
        for file in part.files:
            yield file, part.format.inspect(file, part.filesystem)
    elif isinstance(part, pads.UnionDataset):
        for child in part.children:
            yield from stored_schemas(child)
