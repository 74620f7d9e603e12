"""What rows are: rows in memory, files and datasets, read block by block or as columns of Arrow arrays."""

from kranking._rows._column import as_arrow as as_arrow
from kranking._rows._contents import file_contents as file_contents
from kranking._rows._contents import folder_keys as folder_keys
from kranking._rows._contents import source_contents as source_contents
from kranking._rows._csv_source import ID as ID
from kranking._rows._files import CSV as CSV
from kranking._rows._files import PARQUET as PARQUET
from kranking._rows._files import Paths as Paths
from kranking._rows._files import find_log_files as find_log_files
from kranking._rows._in_memory import columns_in as columns_in
from kranking._rows._in_memory import rows_name as rows_name
from kranking._rows._open_rows import Source as Source
from kranking._rows._open_rows import columns_of as columns_of
from kranking._rows._open_rows import first_rows as first_rows
from kranking._rows._open_rows import open_rows as open_rows
from kranking._rows._open_rows import repeatable as repeatable
from kranking._rows._origin import Origin as Origin
from kranking._rows._plain import plain_type as plain_type
from kranking._rows._unit import Unit as Unit
from kranking._rows._unit import shard_of as shard_of

__all__ = [
    "CSV",
    "ID",
    "PARQUET",
    "Origin",
    "Paths",
    "Source",
    "Unit",
    "as_arrow",
    "columns_in",
    "columns_of",
    "file_contents",
    "find_log_files",
    "first_rows",
    "folder_keys",
    "open_rows",
    "plain_type",
    "repeatable",
    "rows_name",
    "shard_of",
    "source_contents",
]
