"""Search for the files of a log."""

from kranking._rows import Paths, find_log_files


def find_files(paths: Paths, suffix: str = ".parquet") -> list[str]:
    """Returns the files of a path, a folder, a glob, a URL or a list of these, sorted within each.

    Below a folder, files and folders whose names begin with `_` or `.` are left out.

    Raises:
        ValueError: If no file matches.
    """
    return [file.name for file in find_log_files(paths, (suffix,))]
