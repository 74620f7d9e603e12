"""A column of numbers or times in float64, with the exact value of each row."""

from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa

from kranking._rows import Origin

LARGEST = 2**53  # from it on, a float64 stands for several integers


class ExactNumbers:
    """A column of numbers, with NaN as null.

    A whole number in floating point is that number; any other stands for the shortest decimal that is
    read as it: 0.1 is a tenth, in float32 and in float64.

    Args:
        array: Integers, floating point or decimals.
        column: Name of the column, for error messages.
        origin: Origin of the rows, for error messages.

    Attributes:
        values: The values in float64, 0 for null.
        missing: Mask of the nulls.
        whole: Mask of the values that float64 holds exactly, which are whole numbers.
        error: Largest difference of each of the other values from the exact one.
        dtype: `np.float32` or `np.float64`; `None` if not in floating point.
    """

    def __init__(self, array: pa.Array, column: str, origin: Origin):
        self._array, self._column, self._origin = array, column, origin
        self.missing = array.is_null().to_numpy(zero_copy_only=False)
        self.dtype: Any = None
        decimals = pa.types.is_decimal(array.type)
        given = array.cast(pa.float64()) if decimals else array
        given = given.fill_null(0).to_numpy(zero_copy_only=False)
        if given.dtype.kind == "f" and not decimals:
            self.dtype = given.dtype.type
            self.missing = self.missing | np.isnan(given)
            given = np.where(self.missing, given.dtype.type(0), given)
        self.values = given.astype(np.float64)
        rounded = np.trunc(self.values) != self.values if given.dtype.kind == "f" else False
        self.whole = ~(rounded | (np.abs(self.values) >= LARGEST) | decimals)
        # Half a unit in the last place, also of subnormal numbers.
        relative, least = (2.0**-24, 2.0**-150) if self.dtype is np.float32 else (2.0**-53, 1e-300)
        self.error = np.where(self.whole, 0.0, relative * np.abs(self.values) + least)

    def exact(self, row: Any) -> Fraction:
        """Returns the exact value of a row.

        Raises:
            ValueError: If it is in floating point, and at least 2^53.
        """
        if self.dtype is None:
            return Fraction(self._array[row].as_py())
        value = self.dtype(self.values[row])
        if abs(value) >= LARGEST:
            raise self.not_exact(f"{value:g}", row)
        return decimal_of(value)

    def not_exact(self, what: str, row: Any = None) -> ValueError:
        """Returns the error about a comparison that floating point does not decide."""
        where = self._origin.file if row is None else self._origin.at(row)
        return ValueError(
            f"Column {self._column!r} holds floating point, which is not exact from 2^53 on, so that it "
            f"cannot be compared there. Received: {what} in {where}. Store the column as integers."
        )


def decimal_of(value: Any) -> Fraction:
    """Returns the number that a value in floating point stands for.

    >>> decimal_of(np.float32(0.1)), decimal_of(np.float64(3.0))
    (Fraction(1, 10), Fraction(3, 1))
    """
    return Fraction(int(value)) if value == np.trunc(value) else Fraction(str(value))
