"""Hits among the top items of each session."""

from dataclasses import dataclass

import numpy as np

from kranking._core import check_choice, check_positive_int
from kranking.metrics._checks import checked_groups, checked_rows, numbers


@dataclass(frozen=True)
class HitAtK:
    """Positives among the `k` top-scored items of a session, averaged over sessions (HIT@k).

    Let `top[s]` be the `min(k, n[s])` items of session `s` with the highest scores, ties in row
    order, and `hits[s] = sum(y in top[s])`:

    - `reduce="count"` is `mean(hits[s])` over all sessions, also those without a positive (as at
      Pinterest);
    - `reduce="any"` is `mean(hits[s] > 0)` over the sessions that contain a positive.

    Args:
        k: Number of top items. Positive integer.
        reduce: `"count"` or `"any"`.
        min_items: Sessions with fewer items are ignored. 1 keeps all, even those shorter than `k`.

    Call arguments: labels 0 and 1, scores (higher is better) and session of each row, each `(rows,)`.
    The result is NaN (undefined) if no session remains or a score in a remaining session is NaN.

    >>> y, score = np.array([1, 0, 0, 1]), np.array([0.9, 0.8, 0.7, 0.2])
    >>> HitAtK(k=1)(y, score, session=np.array(["a", "a", "b", "b"]))
    0.5

    Reference: [Xia et al., 2023](https://arxiv.org/abs/2306.00248)
    """

    k: int = 3
    reduce: str = "count"
    min_items: int = 1

    def __post_init__(self):
        check_positive_int("k", self.k)
        check_choice("reduce", self.reduce, ("count", "any"))
        check_positive_int("min_items", self.min_items)

    @property
    def name(self) -> str:
        """Name in logs and tables, such as `hit@3`, or `hit_any@3` for `reduce="any"`."""
        return f"hit@{self.k}" if self.reduce == "count" else f"hit_any@{self.k}"

    def __call__(self, y: np.ndarray, score: np.ndarray, session: np.ndarray) -> float:
        """Computes the mean over sessions; NaN (undefined) if no row is positive."""
        _, values = self.per_session(y, score, session)
        return float(np.mean(values)) if len(values) and np.any(y) else float("nan")

    def per_session(
        self, y: np.ndarray, score: np.ndarray, session: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns the evaluated sessions in ascending order, and the value of each.

        Which sessions are evaluated depends only on labels and sizes, so the values of two models on
        the same rows are paired, ready for a bootstrap over sessions.
        """
        y, score, names, index = _grouped(y, score, session)
        size, positives = np.bincount(index, minlength=len(names)), _sum_by(index, y, len(names))
        order = np.lexsort((-score, index))  # stable: ties keep the row order
        rank = np.arange(len(y)) - (np.cumsum(size) - size)[index[order]]
        hits = _sum_by(index[order], y[order] * (rank < self.k), len(names))
        values = hits if self.reduce == "count" else 1.0 * (hits > 0)
        values[index[np.isnan(score)]] = np.nan
        kept = self._kept(size, positives)
        return names[kept], values[kept]

    def expected_random(self, y: np.ndarray, session: np.ndarray) -> float:
        """Computes the exact expectation under a random ranking, as a reference value.

        For a session of `n` items, `p` of them positive: `min(k, n) * p / n` hits, and
        `1 - C(n - p, k) / C(n, k)` for any hit.
        """
        y, _, names, index = _grouped(y, np.zeros(len(numbers("y", y))), session)
        size, positives = np.bincount(index, minlength=len(names)), _sum_by(index, y, len(names))
        kept = self._kept(size, positives)
        size, positives = size[kept], positives[kept]
        if not len(size) or not np.any(y):
            return float("nan")
        if self.reduce == "count":
            return float(np.mean(np.minimum(self.k, size) * positives / size))
        miss = np.ones(len(size))
        for place in range(min(self.k, int(size.max()))):
            left = np.maximum(size - place, 1)  # in shorter sessions `miss` is already 0
            miss *= np.maximum(size - positives - place, 0) / left
        return float(np.mean(1 - miss))

    def _kept(self, size, positives):
        kept = size >= self.min_items
        return kept if self.reduce == "count" else kept & (positives > 0)


def _grouped(y, score, session):
    y, score, _ = checked_rows(y, score, None, binary=True)
    names, index = checked_groups(session, len(score), name="session")
    return y, score, names, index


def _sum_by(index, values, length):
    return np.bincount(index, values, length).astype(np.float64)  # bincount of no rows is int
