"""Conversion of Arrow's encodings of a type to the plain type: every reader of columns sees one of each."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_LIST_VIEWS = (pa.ListViewType, pa.LargeListViewType)
_LISTS = (pa.ListType, pa.LargeListType, pa.FixedSizeListType, *_LIST_VIEWS)


def plain(array: pa.Array) -> pa.Array:
    """Returns the same values in a plain type.

    Dictionaries, run-end encodings, views, half floats and narrow decimals are converted, also within
    lists; of the extension types, those of booleans, JSON and vectors. Other types are unchanged.
    """
    kind, types = array.type, pa.types
    if isinstance(kind, pa.BaseExtensionType):
        return _storage(array)
    if types.is_dictionary(kind):
        coded = pa.DictionaryArray.from_arrays(array.indices, plain(array.dictionary))
        return coded.dictionary_decode()  # pyright: ignore
    if types.is_run_end_encoded(kind):
        places = np.arange(array.offset, array.offset + len(array))
        ends = array.run_ends.to_numpy()
        return plain(array.values).take(pa.array(np.searchsorted(ends, places, side="right")))
    if types.is_string_view(kind):
        return array.cast(pa.large_string())
    if types.is_binary_view(kind):
        return array.cast(pa.large_binary())
    if types.is_float16(kind):
        return array.cast(pa.float32())
    if types.is_decimal32(kind) or types.is_decimal64(kind):
        return array.cast(pa.decimal128(kind.precision, kind.scale))
    if isinstance(kind, _LISTS):
        inner = plain_type(kind.value_type)
        return array if inner == kind.value_type and not _is_view(kind) else _list(array)
    return array


def plain_type(kind: pa.DataType) -> pa.DataType:
    """Returns the type to which `plain` converts arrays of a type."""
    try:
        return plain(pa.nulls(0, kind)).type
    except pa.ArrowException:  # a type without an empty array is none that is converted
        return kind


def _is_view(kind: pa.DataType) -> bool:
    return isinstance(kind, _LIST_VIEWS)


def _list(array: pa.Array) -> pa.Array:
    # Not `cast`: in Arrow 26, it leaves lists made of a view without the last offset.
    lengths = pc.fill_null(pc.list_value_length(array), 0)  # pyright: ignore
    ends = np.cumsum(lengths.to_numpy(zero_copy_only=False), dtype=np.int64)
    offsets = pa.array(np.concatenate([[0], ends]), pa.int64())
    return pa.LargeListArray.from_arrays(offsets, plain(array.flatten()), mask=array.is_null())


def _storage(array: pa.Array) -> pa.Array:
    kind = array.type
    if isinstance(kind, pa.Bool8Type):
        return array.cast(pa.bool_())
    if isinstance(kind, pa.FixedShapeTensorType) and len(kind.shape) == 1:
        return plain(array.storage)
    return plain(array.storage) if isinstance(kind, pa.JsonType) else array
