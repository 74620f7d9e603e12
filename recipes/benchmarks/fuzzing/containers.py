"""The same rows in many containers, each with its values as they stand in it."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from fuzzing.draw import Draw

Columns = Mapping[str, list]
NUMPY_WHOLE = (
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    ">i4",
    ">i8",
)
NUMPY_FLOAT = ("float16", "float32", "float64", ">f4", ">f8")


class StreamOnly:
    """A frame of another library: Arrow's protocol of streams, and nothing else."""

    def __init__(self, table: pa.Table):
        self._table = table

    def __arrow_c_stream__(self, requested_schema=None):
        return self._table.__arrow_c_stream__(requested_schema)


class InterchangeOnly:
    """A frame of another library: the dataframe interchange protocol, and nothing else."""

    def __init__(self, table: pa.Table):
        self._table = table

    def __dataframe__(self, nan_as_null=False, allow_copy=True):
        return self._table.__dataframe__(nan_as_null, allow_copy)


def kinds_of(values: list) -> set[type]:
    return {type(v) for v in values if v is not None}


def numpy_column(draw: Draw, values: list) -> tuple[str, Any]:
    """Returns a column as a NumPy array of a drawn dtype that holds it."""
    kinds, complete = kinds_of(values), None not in values
    options: list[str] = ["object"]
    if kinds == {int} and complete:
        options = [d for d in NUMPY_WHOLE if all(_fits(v, d) for v in values)] or ["object"]
    elif kinds == {float}:
        options = list(NUMPY_FLOAT)
        if not complete:
            values = [math.nan if v is None else v for v in values]
    elif kinds == {str} and complete and not any(v.endswith("\0") for v in values):
        options = ["U", "object"]
    elif kinds == {bool} and complete:
        options = ["bool"]
    elif kinds == {list} and complete and len({len(v) for v in values}) == 1:
        flat = [x for v in values for x in v]
        if kinds_of(flat) == {float} and None not in flat:
            options = ["float32 rows", "float64 rows", "strided rows"]
    dtype = draw.pick(options)
    with np.errstate(all="ignore"):
        if "rows" in dtype:
            array = np.array(values, "float32" if dtype.startswith("float32") else "float64")
            return dtype, np.asfortranarray(array) if "strided" in dtype else array
        if dtype == "object":
            array = np.empty(len(values), object)
            array[:] = values
            return dtype, array
        array = np.array(values, dtype)
    if draw.chance(0.2):
        array, dtype = np.repeat(array, 2)[::2], f"strided {dtype}"
    return dtype, array


def _fits(value: int, dtype: str) -> bool:
    info = np.iinfo(dtype)
    return info.min <= value <= info.max


def arrow_type(values: list) -> pa.DataType:
    """Returns the plain Arrow type of a column; of lists of whatever its lists hold."""
    kinds = kinds_of(values)
    if kinds == {list}:
        return pa.list_(arrow_type([x for v in values if v is not None for x in v]))
    plain = {int: pa.int64(), float: pa.float64(), str: pa.string(), bool: pa.bool_()}
    return plain.get(next(iter(kinds)), pa.null()) if len(kinds) == 1 else pa.null()


def newer_types(values: list) -> dict[str, Callable[[pa.Array], pa.Array]]:
    """Returns ways to hold a column in another Arrow type with the same values."""
    kinds = kinds_of(values)
    if kinds == {list}:
        inner = [x for v in values if v is not None for x in v]
        made = _lists(values, inner)
        for name, change in newer_types(inner).items():
            if name not in ("run-end", "float16"):
                made[f"list of {name}"] = _inside(change)
        return made
    made = {
        "dictionary": lambda a: a.dictionary_encode(),
        "dictionary of int8": _short_indices,
        "run-end": _run_ends,
    }
    if kinds == {str}:
        made["string_view"] = lambda a: a.cast(pa.string_view())
        made["large_string"] = lambda a: a.cast(pa.large_string())
        made["dictionary of large_string"] = lambda a: a.cast(pa.large_string()).dictionary_encode()
    elif kinds == {int}:
        numbers = [v for v in values if v is not None]
        fits = [d for d in NUMPY_WHOLE[:8] if all(_fits(v, d) for v in numbers)]
        made |= {d: (lambda a, d=d: a.cast(pa.type_for_alias(d))) for d in fits}
    elif kinds == {float}:
        made["float32"] = lambda a: a.cast(pa.float32(), safe=False)
        made["float16"] = lambda a: a.cast(pa.float16(), safe=False)
    elif kinds == {bool}:
        made = {"dictionary": made["dictionary"]}
    return made


def _lists(values: list, inner: list) -> dict[str, Callable[[pa.Array], pa.Array]]:
    made: dict[str, Callable[[pa.Array], pa.Array]] = {
        "large_list": lambda a: a.cast(pa.large_list(a.type.value_type)),
        "list_view": lambda a: a.cast(pa.list_view(a.type.value_type)),
        "large_list_view": lambda a: a.cast(pa.large_list_view(a.type.value_type)),
    }
    widths = {len(v) for v in values if v is not None}
    if len(widths) == 1 and (width := widths.pop()):
        made["fixed_size_list"] = lambda a: pa.array(
            a.to_pylist(), pa.list_(a.type.value_type, width)
        )
    return made


def _inside(change: Callable[[pa.Array], pa.Array]) -> Callable[[pa.Array], pa.Array]:
    def changed(array: pa.Array) -> pa.Array:
        return pa.ListArray.from_arrays(array.offsets, change(array.values), mask=array.is_null())

    return changed


def _short_indices(array: pa.Array) -> pa.Array:
    coded = array.dictionary_encode()
    return pa.DictionaryArray.from_arrays(coded.indices.cast(pa.int8()), coded.dictionary)


def _run_ends(array: pa.Array) -> pa.Array:
    import pyarrow.compute as pc

    return pc.run_end_encode(array)


def plain_arrow(values: list) -> pa.Array:
    """Returns a column as the plain Arrow array of it."""
    return pa.array(values, arrow_type(values))


def table_of(columns: Columns) -> pa.Table:
    return pa.table({name: plain_arrow(values) for name, values in columns.items()})


def in_memory(draw: Draw, columns: Columns) -> tuple[str, Any, dict[str, list]]:
    """Returns the name of a container in memory, rows in it, and the values that they have there."""
    way = draw.pick(tuple(MEMORY))
    rows = MEMORY[way](draw, columns)
    read = dict(columns)
    if way == "numpy":
        read = {name: _listed(array) for name, array in rows.items()}
    return way, rows, read


def _listed(array: np.ndarray) -> list:
    """Returns the values of an array; a NaN among objects is a null, as in pandas."""
    values = [x.item() if isinstance(x, np.generic) else x for x in array.tolist()]
    if array.dtype == object:
        return [None if isinstance(v, float) and math.isnan(v) else v for v in values]
    return values


def _chunks(draw: Draw, columns: Columns) -> pa.Table:
    table = table_of(columns)
    cut = draw.whole(0, table.num_rows + 1)
    return pa.concat_tables([table.slice(0, cut), table.slice(cut), table.slice(0, 0)])


def _sliced(draw: Draw, columns: Columns) -> pa.Table:
    twice = table_of({name: [*values, *values] for name, values in columns.items()})
    rows = twice.num_rows // 2
    return twice.slice(rows, rows)


def _dicts(draw: Draw, columns: Columns) -> list[dict]:
    rows = [dict(zip(columns, values)) for values in zip(*columns.values())]
    if draw.chance(0.5):  # a key that a row lacks is a null, if another row has it
        rows[1:] = [{k: v for k, v in row.items() if v is not None} for row in rows[1:]]
    return rows


MEMORY: dict[str, Callable[[Draw, Columns], Any]] = {
    "dict of lists": lambda draw, columns: dict(columns),
    "dict of tuples": lambda draw, columns: {n: tuple(v) for n, v in columns.items()},
    "numpy": lambda draw, columns: {n: numpy_column(draw, v)[1] for n, v in columns.items()},
    "dict of arrow arrays": lambda draw, columns: {n: plain_arrow(v) for n, v in columns.items()},
    "arrow table": lambda draw, columns: table_of(columns),
    "arrow table in chunks": _chunks,
    "slice of an arrow table": _sliced,
    "record batch": lambda draw, columns: table_of(columns).combine_chunks().to_batches()[0],
    "list of dicts": _dicts,
    "arrow's protocol": lambda draw, columns: StreamOnly(table_of(columns)),
    "interchange protocol": lambda draw, columns: InterchangeOnly(table_of(columns)),
}
TABLES = tuple(name for name in MEMORY if not name.startswith("dict") and name != "numpy")
