"""Columns that the names of folders state, as in `day=3/country=DE/0.parquet`."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.dataset as pads

from kranking._rows._in_memory import check_names

_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,17}")  # its only form; 18 digits fit in 64 bits
_DIGITS = re.compile(r"-?[0-9]{1,18}")


def values_of_folders(path: str, base: str) -> dict[str, pa.Scalar]:
    """Returns the values of the folders between `base` and a file by column, as text; null by Hive's name.

    Raises:
        ValueError: If two folders state one column.
    """
    folders = path[len(base) :].split("/")[:-1]
    names = [folder.split("=")[0] for folder in folders if "=" in folder[1:]]
    if not names:
        return {}
    check_names(names, f"the folders of {path!r}")
    schema = pa.schema([(name, pa.string()) for name in names])
    stated = pads.HivePartitioning(schema).parse("/".join([*folders, ""]))
    values = pads.get_partition_keys(stated)
    return {name: pa.scalar(values.get(name), pa.string()) for name in names}


def folder_types(
    stated: Iterable[Mapping[str, pa.Scalar]], declared: Mapping[str, pa.DataType]
) -> dict[str, pa.DataType]:
    """Returns the type of each column that folders state, one for all files.

    A column has integers if each of its values is an integer in its only form, as ids in CSV have. A column
    that is declared as numbers has numbers if each value is one. Any other value is text as it stands:
    "01" is not 1, and "1e3", "0x1", "true" and "2026-01-02" are no numbers.

    Args:
        stated: Values of a file by column, as text.
        declared: Declared types by column.
    """
    texts: dict[str, set[str]] = {}
    for values in stated:
        for name, value in values.items():
            texts.setdefault(name, set()).update({value.as_py()} - {None})
    return {name: _type(found, declared.get(name)) for name, found in texts.items()}


def _type(texts: set[str], declared: pa.DataType | None) -> pa.DataType:
    if not texts:
        return pa.string()
    if all(map(_INTEGER.fullmatch, texts)):
        return pa.int64()
    if declared is not None and pa.types.is_floating(declared) and _are_numbers(texts):
        return declared
    return pa.string()


def _are_numbers(texts: set[str]) -> bool:
    try:
        pa.array(sorted(texts)).cast(pa.float64())
    except pa.ArrowInvalid:
        return False
    return True


def is_stated(value: Any, stated: Any) -> bool:
    """Whether a value of a file is the one in the name of its folder: `True` is "true", 1 is "01".

    Args:
        value: The value of the file.
        stated: The value of the folder, in the type that `folder_types` returns.
    """
    if value == stated or str(value) == str(stated):
        return True
    if isinstance(value, bool):
        return str(value).lower() == str(stated).lower()
    if value is None or stated is None:
        return False
    texts = str(value), str(stated)
    if all(map(_DIGITS.fullmatch, texts)):
        return int(texts[0]) == int(texts[1])
    return isinstance(value, float) and _are_numbers({texts[1]}) and value == float(stated)
