"""Lookup of table rows on the host, by vocabulary or hash."""

from typing import Any

import numpy as np
import pyarrow as pa

from kranking.features._categorical import NULLS
from kranking.features._columns import Origin, check_vocabulary_type, is_string
from kranking.features._hash import hash_integers, hash_strings


class Lookup:
    """Maps values to table rows: 0 for null and unknown values, known values from 1.

    Args:
        vocabulary: The values in the order of rows, or `None` to hash.
        hash_buckets: Number of hash buckets.
    """

    def __init__(self, vocabulary: tuple[Any, ...] | None, hash_buckets: int | None = None):
        self.hash_buckets = hash_buckets
        self._rows = {value: row for row, value in enumerate(vocabulary or (), start=1)}
        self._text = bool(vocabulary) and isinstance(vocabulary[0], str)

    def __call__(self, values: pa.Array, column: str, origin: Origin) -> np.ndarray:
        """Returns the int32 row of each value; `column` and `origin` are used in error messages."""
        if pa.types.is_boolean(values.type):
            values = values.cast(pa.int8())
        coded = values if pa.types.is_dictionary(values.type) else values.dictionary_encode()
        rows = self._rows_of(coded.dictionary, column, origin)
        # Nulls point to an additional entry at the end, 0.
        table = np.append(rows, np.int32(0))
        # The indices of a dictionary may be int8, too small for the additional entry.
        codes = coded.indices.cast(pa.int64()).fill_null(len(rows))
        return table[codes.to_numpy(zero_copy_only=False)]

    def _rows_of(self, values: pa.Array, column: str, origin: Origin) -> np.ndarray:
        if pa.types.is_null(values.type) or not len(values):
            return np.zeros(len(values), np.int32)
        text = is_string(values.type)
        if self.hash_buckets is not None:
            return self._buckets(values, text)
        if self._rows:
            check_vocabulary_type(column, self._text, values.type, origin)
        get = self._rows.get
        return np.fromiter((get(v, 0) for v in values.to_pylist()), np.int32, len(values))

    def _buckets(self, values: pa.Array, text: bool) -> np.ndarray:
        if text:
            codes = hash_strings([v or "" for v in values.to_pylist()])
            missing = np.fromiter((not v for v in values.to_pylist()), bool, len(values))
        else:
            given = values.fill_null(0).to_numpy(zero_copy_only=False)
            codes = hash_integers(given)
            missing = values.is_null().to_numpy(zero_copy_only=False)
            missing = missing | np.isin(given, [n for n in NULLS if isinstance(n, int)])
        return np.where(missing, 0, 1 + codes % self.hash_buckets).astype(np.int32)
