"""Sums of columns with rational factors, and their exact signs."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from kranking.features._rules._exact_numbers import LARGEST, ExactNumbers, decimal_of

_ROUNDING = 2.0**-52


@dataclass(frozen=True)
class LinearForm:
    """A sum `Σ factor · column + constant`, as in `watch_time - 0.8 * duration`.

    Args:
        factors: Factors that are not zero, by column.
        constant: The constant.
    """

    factors: Mapping[str, Fraction]
    constant: Fraction = Fraction(0)

    @property
    def column(self) -> str | None:
        """The column, if the form is nothing else."""
        alone = list(self.factors.values()) == [1] and not self.constant
        return next(iter(self.factors)) if alone else None

    def plus(self, other: "LinearForm", factor: Fraction = Fraction(1)) -> "LinearForm":
        """Returns the sum of this form and a multiple of another one."""
        names = dict.fromkeys([*self.factors, *other.factors])
        sums = {n: self.factors.get(n, 0) + factor * other.factors.get(n, 0) for n in names}
        kept = {name: Fraction(value) for name, value in sums.items() if value}
        return LinearForm(kept, self.constant + factor * other.constant)

    def signs(self, numbers: Mapping[str, ExactNumbers]) -> np.ndarray:
        """Returns −1, 0 or 1 for each row, and NaN where a column is null.

        The sum is computed in float64. Rows whose sign its rounding could change are computed again in
        fractions.

        Args:
            numbers: The columns by name.

        Raises:
            ValueError: If a sign depends on digits that floating point does not hold.
        """
        terms = [(factor, numbers[name]) for name, factor in self.factors.items()]
        floats = len(terms) == 1 and terms[0][1].dtype is not None
        signs = self._of_floats(*terms[0]) if floats else self._of_sum(terms)
        return np.where(np.any([part.missing for _, part in terms], axis=0), np.nan, signs)

    def _of_floats(self, factor: Fraction, part: ExactNumbers) -> np.ndarray:
        """Returns the signs of a column of floating point, which is compared with a number of its type."""
        bound = -self.constant / factor
        if abs(bound) >= LARGEST:
            raise part.not_exact(f"the number {float(bound):g}")
        nearest = part.dtype(float(bound))
        tie = _sign(decimal_of(nearest) - bound)
        nearest = float(nearest)
        signs = np.where(part.values == nearest, tie, np.where(part.values > nearest, 1, -1))
        return signs * _sign(factor)

    @np.errstate(over="ignore", invalid="ignore")
    def _of_sum(self, terms: list[tuple[Fraction, ExactNumbers]]) -> np.ndarray:
        common = math.lcm(self.constant.denominator, *(f.denominator for f, _ in terms))
        common = common if common <= LARGEST else 1  # so that all factors are whole
        scaled = [(factor * common, part) for factor, part in terms]
        whole = all(f.denominator == 1 for f in (self.constant * common, *(f for f, _ in scaled)))
        products = [float(factor) * part.values for factor, part in scaled]
        constant = float(self.constant * common)
        total = sum(products, np.full(len(products[0]), constant))
        size = sum(map(np.abs, products), abs(constant))
        slack = sum((abs(float(factor)) * part.error for factor, part in scaled), 0.0)
        exact = np.all([part.whole for _, part in terms], axis=0) & whole & (size < LARGEST)
        certain = exact | (np.abs(total) > 2 * slack + (len(terms) + 4) * _ROUNDING * size)
        certain &= np.isfinite(size)
        signs = np.sign(total)
        for known, mask in ((_of_infinities(terms), _infinite(terms)), (0.0, self._equal(terms))):
            signs, certain = np.where(mask, known, signs), certain | mask
        missing = np.any([part.missing for _, part in terms], axis=0)
        for row in np.flatnonzero(~(certain | missing)):
            parts = [factor * part.exact(row) for factor, part in terms]
            signs[row] = _sign(sum(parts, self.constant))
        return signs

    def _equal(self, terms: list[tuple[Fraction, ExactNumbers]]) -> np.ndarray:
        """Returns where the form is the difference of equal values of one type of floating point."""
        kinds = {part.dtype for _, part in terms}
        if (
            len(terms) != 2
            or len(kinds) > 1
            or None in kinds
            or self.constant
            or sum(f for f, _ in terms)
        ):
            return np.zeros(len(terms[0][1].values), bool)
        one, other = (part.values for _, part in terms)
        return (one == other) & (np.abs(one) < LARGEST)


def _infinite(terms: list[tuple[Fraction, ExactNumbers]]) -> np.ndarray:
    return np.any([np.isinf(part.values) for _, part in terms], axis=0)


def _of_infinities(terms: list[tuple[Fraction, ExactNumbers]]) -> np.ndarray:
    """Returns the signs that infinite values give to rows."""
    parts = [np.where(np.isinf(p.values), _sign(f) * p.values, 0) for f, p in terms]
    total = np.sum(parts, axis=0)
    undefined = np.isnan(total)
    if undefined.any():
        raise terms[0][1].not_exact("infinity minus infinity", int(np.argmax(undefined)))
    return np.sign(total)


def _sign(value: Fraction) -> int:
    return (value > 0) - (value < 0)
