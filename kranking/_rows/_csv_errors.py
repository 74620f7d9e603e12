"""Errors of CSV files: other formats, wrong widths, values of another type."""

import re
from collections.abc import Sequence

import pyarrow as pa

from kranking._rows._files import LogFile
from kranking._rows._unit import WrongValueError

# How files begin that are no text in UTF-8, whatever their names say, and the way out.
_UTF_16 = "UTF-16; save it in UTF-8"
_FORMATS = {
    b"\x1f\x8b": "gzip; name the file .csv.gz",
    b"\x28\xb5\x2f\xfd": "Zstandard; name the file .csv.zst",
    b"BZh": "bzip2; name the file .csv.bz2",
    b"PK\x03\x04": "a ZIP archive or a spreadsheet; export it as CSV",
    b"PAR1": "Parquet; name the file .parquet",
    b"\xff\xfe": _UTF_16,
    b"\xfe\xff": _UTF_16,
}


def check_separators(delimiter: str | None, list_separator: str) -> None:
    """Raises `ValueError` unless separators of CSV files are text, that of columns a character."""
    if delimiter is not None and (not isinstance(delimiter, str) or len(delimiter) != 1):
        raise ValueError(
            f"`delimiter` must be one character or None. Received: delimiter={delimiter!r}"
        )
    if not isinstance(list_separator, str) or not list_separator:
        raise ValueError(
            f"`list_separator` must be text. Received: list_separator={list_separator!r}"
        )


def check_text(file: LogFile) -> None:
    """Raises `ValueError` if a file is in a format that is no text in UTF-8."""
    with file.filesystem.open_input_stream(file.path, compression="detect") as stream:
        start = stream.read(4)
    found = [kind for magic, kind in _FORMATS.items() if start.startswith(magic)]
    found += [_UTF_16] if b"\0" in start else []
    if found:
        raise ValueError(f"{file.name!r} must be CSV in UTF-8. Received: {found[0]}")


def unreadable(file: LogFile, error: Exception) -> ValueError:
    """Returns the error for a file that Arrow cannot parse."""
    hint = (
        ". A value with the separator in it must be quoted; `delimiter` states another separator"
        if "columns, got" in str(error)
        else ""
    )
    return ValueError(f"{file.name!r} cannot be read as CSV in UTF-8. Arrow says: {error}{hint}")


def value_error(message: str, names: Sequence[str]) -> Exception:
    """Returns the error for Arrow's message about a value in one of the columns with these names."""
    found = re.search(r"CSV column #(\d+): .* to (\w+): invalid value '(.*)'", message, re.DOTALL)
    if found is None:
        return pa.ArrowInvalid(
            re.sub(r"CSV column #(\d+)", lambda n: f"column {names[int(n[1])]!r}", message)
        )
    numbers = re.match("double|float|u?int|bool", found[2])
    kind = "numbers such as 1.5, labels 0 or 1" if numbers else f"values of type {found[2]}"
    return WrongValueError(names[int(found[1])], kind, found[3])
