"""Lookup of table rows on the host, by vocabulary or hash."""

from typing import Any

import numpy as np
import pyarrow as pa

from kranking.features._categorical import NULLS
from kranking.features._columns import Origin
from kranking.features._hash import hash_integers
from kranking.features._ids import hash_inputs, to_ids


class Lookup:
    """Maps values to table rows: 0 for null and unknown values, known values from 1.

    Args:
        vocabulary: The values in the order of rows, or `None` to hash.
        hash_buckets: Number of hash buckets.
        dtype: Kind of the ids, as in `Categorical`.
    """

    def __init__(
        self, vocabulary: tuple[Any, ...] | None, hash_buckets: int | None, dtype: str | None
    ):
        self.hash_buckets, self._dtype = hash_buckets, dtype
        self._rows = {value: row for row, value in enumerate(vocabulary or (), start=1)}

    def __call__(self, values: pa.Array, column: str, origin: Origin) -> np.ndarray:
        """Returns the int32 row of each value; `column` and `origin` are used in error messages."""
        ids = to_ids(values, self._dtype, column, origin)
        coded = ids.dictionary_encode()
        rows = self._rows_of(coded.dictionary)
        # Nulls point to an additional entry at the end, 0.
        table = np.append(rows, np.int32(0))
        # The indices of a dictionary may be int8, too small for the additional entry.
        codes = coded.indices.cast(pa.int64()).fill_null(len(rows))
        return table[codes.to_numpy(zero_copy_only=False)]

    def _rows_of(self, ids: pa.Array) -> np.ndarray:
        if self.hash_buckets is not None:
            values = hash_inputs(ids, self._dtype)
            missing = np.isin(values, [n for n in NULLS if isinstance(n, int)])
            codes = 1 + hash_integers(values) % self.hash_buckets
            return np.where(missing, 0, codes).astype(np.int32)
        get = self._rows.get
        return np.fromiter((get(v, 0) for v in ids.to_pylist()), np.int32, len(ids))
