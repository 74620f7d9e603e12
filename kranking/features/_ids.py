"""Ids of a column as 64-bit integers or as text, converted where that is exact and refused otherwise."""

import re
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kranking._rows import Origin
from kranking.features._hash import digest_strings

INTEGERS, TEXT = "int64", "string"
BY_TYPE = "by_type"  # of hashed features saved before ids had a kind: 7 and "7" have different rows
DTYPES = (INTEGERS, TEXT, BY_TYPE)
NULL_INTEGER = -(2**63)

_DIGITS = re.compile(r"0|-?[1-9][0-9]{0,18}")
_HIGH = 2**63 - 1
_EXACT = {32: 2**24, 64: 2**53}  # by bits: from it on, a float stands for several integers


def is_string(kind: pa.DataType) -> bool:
    """Whether the values are strings."""
    return (
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def is_id(kind: pa.DataType) -> bool:
    """Whether values of this type can be ids; `to_ids` refuses those that are not whole numbers."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    types = pa.types
    return (
        is_string(kind)
        or types.is_integer(kind)
        or types.is_boolean(kind)
        or types.is_floating(kind)
        or types.is_decimal(kind)
        or types.is_null(kind)
    )


def dtype_of(vocabulary: tuple[Any, ...] | None) -> str | None:
    """Returns the kind of the values of a vocabulary; `None` if it has none."""
    if not vocabulary:
        return None
    return INTEGERS if isinstance(vocabulary[0], int) else TEXT


def integer_of(text: str) -> int | None:
    """Returns the integer that a text denotes in its only form: "7", but not "007", " 7" or "7.0".

    >>> [integer_of(text) for text in ("7", "-7", "007", "7.0", "")]
    [7, -7, None, None, None]
    """
    if not _DIGITS.fullmatch(text):
        return None
    value = int(text)
    return value if -_HIGH - 1 <= value <= _HIGH else None


def null_count(values: pa.Array) -> int:
    """Returns the number of nulls, with NaN among them."""
    return len(values) - pc.sum(pc.is_valid(_without_nan(values))).as_py() if len(values) else 0  # pyright: ignore


def to_ids(values: pa.Array, dtype: str | None, column: str, origin: Origin) -> pa.Array:
    """Returns ids as int64 or string.

    Integers, booleans, and whole numbers in floating point or decimals are integers; NaN is null. If the
    kind of the ids is known, a text such as "7" becomes the integer, or an integer becomes the text.

    Args:
        values: Values of a plain type that `is_id` accepts.
        dtype: `"int64"` or `"string"`; `None` or `"by_type"` keeps what the column holds.
        column: Name of the column, for error messages.
        origin: Origin of the values, for error messages.

    Raises:
        ValueError: If a value has no exact counterpart.
    """
    kind = values.type
    if pa.types.is_null(kind):
        return pa.nulls(len(values), pa.string() if dtype == TEXT else pa.int64())
    if is_string(kind):
        return _parsed(values, column, origin) if dtype == INTEGERS else values
    if pa.types.is_boolean(kind) and dtype == TEXT:
        raise _not_ids("strings like the ids that were learnt", "booleans", column, origin)
    if pa.types.is_uint64(kind) and dtype == BY_TYPE:
        return pa.array(values.fill_null(0).to_numpy(False).astype(np.int64), mask=_nulls(values))
    if pa.types.is_uint64(kind) and dtype == TEXT:
        return values.cast(pa.string())
    whole = whole_numbers(values, column, origin, _no_ids)
    if dtype != TEXT:
        return whole
    smallest = pc.is_in(whole, value_set=pa.array([-(2**31), NULL_INTEGER], pa.int64()))  # pyright: ignore
    return pc.if_else(smallest, pa.scalar(None, pa.string()), whole.cast(pa.string()))  # pyright: ignore


def hash_inputs(ids: pa.Array, dtype: str | None) -> np.ndarray:
    """Returns the int64 values that are hashed for ids from `to_ids`, with `NULL_INTEGER` for null.

    The value of a text is its digest or, if the kind of the ids is not known, the integer that it denotes.
    """
    if not is_string(ids.type):
        return np.where(_nulls(ids), NULL_INTEGER, ids.fill_null(0).to_numpy(zero_copy_only=False))
    coded = ids.dictionary_encode()
    texts = coded.dictionary.to_pylist()
    values = digest_strings([text or "" for text in texts])
    for place, text in enumerate(texts):
        integer = integer_of(text) if text and dtype is None else None
        if not text or integer is not None:
            values[place] = NULL_INTEGER if integer is None else integer
    codes = coded.indices.cast(pa.int64()).fill_null(len(values))
    return np.append(values, NULL_INTEGER)[codes.to_numpy(zero_copy_only=False)]


def _parsed(values: pa.Array, column: str, origin: Origin) -> pa.Array:
    coded = values.dictionary_encode()
    integers = []
    for text in coded.dictionary.to_pylist():
        integers.append(integer_of(text) if text else None)
        if text and integers[-1] is None:
            raise _not_ids(
                'integers like the ids that were learnt, or a text such as "7" for 7',
                repr(text),
                column,
                origin,
            )
    return pa.array(integers, pa.int64()).take(coded.indices)


def whole_numbers(values: pa.Array, column: str, origin: Origin, refusal: Any) -> pa.Array:
    """Returns integers, booleans, and whole numbers in floating point or decimals as int64; NaN is null.

    Args:
        values: The numbers.
        column: Name of the column, for error messages.
        origin: Origin of the values, for error messages.
        refusal: Function that makes the error from what was expected, what was received, `column` and
            `origin`.
    """
    kind = values.type
    if pa.types.is_boolean(kind):
        return values.cast(pa.int8()).cast(pa.int64())
    if pa.types.is_floating(kind):
        values = _without_nan(values)
        given = values.fill_null(0).to_numpy(zero_copy_only=False).astype(np.float64)
        most = _EXACT[kind.bit_width]
        good = (np.trunc(given) == given) & (np.abs(given) < most)
        power = most.bit_length() - 1
        expected = f"whole numbers below 2^{power}, which floating point holds exactly"
    elif pa.types.is_decimal(kind):
        given = np.array(values.to_pylist(), object)
        good = np.array(
            [v is None or (v % 1 == 0 and -_HIGH - 1 <= v <= _HIGH) for v in given], bool
        )
        expected = "whole numbers of 64 bits"
    else:
        given = values.fill_null(0).to_numpy(zero_copy_only=False)
        good = given <= np.array(_HIGH, np.uint64) if pa.types.is_uint64(kind) else np.array(True)
        expected = "integers below 2^63"
    if not good.all():
        wrong = given[int(np.argmin(good))]
        raise refusal(expected, f"{wrong} ({kind})", column, origin)
    return values.cast(pa.int64())


def _without_nan(values: pa.Array) -> pa.Array:
    if not pa.types.is_floating(values.type):
        return values
    return pc.if_else(pc.is_nan(values), pa.scalar(None, values.type), values)  # pyright: ignore


def _nulls(values: pa.Array) -> np.ndarray:
    return values.is_null().to_numpy(zero_copy_only=False)


def _no_ids(expected: str, received: str, column: str, origin: Origin) -> ValueError:
    return _not_ids(f"ids: {expected}, or text", received, column, origin)


def _not_ids(expected: str, received: str, column: str, origin: Origin) -> ValueError:
    return ValueError(
        f"Column {column!r} in {origin.file} must contain {expected}. Received: {received}. "
        "Cast the column, or declare `dtype='string'` and learn again."
    )
