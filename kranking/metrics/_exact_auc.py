"""Exact, rank-based area under the ROC curve over all rows and within groups."""

import numpy as np

from kranking._core import check_choice
from kranking.metrics._checks import checked_groups, checked_rows, numbers


def auc(y: np.ndarray, score: np.ndarray, sample_weight: np.ndarray | None = None) -> float:
    """Computes the exact area under the ROC curve.

    `P(s+ > s-) + P(s+ = s-) / 2` for a positive and a negative row drawn by weight. NaN (undefined)
    if a class has no weight or a score is NaN.

    Args:
        y: Labels 0 and 1, `(rows,)` or `(rows, 1)`.
        score: Scores, higher is better: logits, probabilities or any other. Same shape as `y`.
        sample_weight: Nonnegative weights. Rows of weight 0 are ignored. Same shape as `y`.

    Returns:
        A float in [0, 1], or NaN.

    >>> auc(np.array([0, 0, 1, 1]), np.array([0.1, 0.6, 0.4, 0.8]))
    0.75

    Reference: [Fawcett, 2006](https://doi.org/10.1016/j.patrec.2005.10.010)
    """
    y, score, weight = checked_rows(y, score, sample_weight, binary=True)
    wins, positive, negative = _wins(y, score, weight, np.zeros(len(y), int), 1)
    return _quotient(wins[0], positive[0] * negative[0])


def grouped_auc(
    y: np.ndarray,
    score: np.ndarray,
    groups: np.ndarray,
    sample_weight: np.ndarray | None = None,
    average: str = "impressions",
) -> float:
    """Computes the mean over groups of the area under the ROC curve (gAUC).

    `sum(n[g] * AUC[g]) / sum(n[g])` over the groups that contain both classes, where `n[g]` is the
    total weight of the rows of group `g`; other groups are ignored. NaN (undefined) if no group
    contains both classes, or if one that does has a NaN score.

    Args:
        y: Labels 0 and 1, `(rows,)` or `(rows, 1)`.
        score: Scores, higher is better. Same shape as `y`.
        groups: Group of each row, for example its user or session: integers or strings, `(rows,)`.
        sample_weight: Nonnegative weights. Rows of weight 0 are ignored. Same shape as `y`.
        average: `"impressions"` as above, or `"groups"` to weight all groups equally.

    Returns:
        A float in [0, 1], or NaN.

    >>> grouped_auc(np.array([0, 1, 1, 0]), np.array([0.1, 0.9, 0.2, 0.8]), np.array([7, 7, 8, 8]))
    0.5

    Reference: [Zhou et al., 2018](https://arxiv.org/abs/1706.06978)
    """
    check_choice("average", average, ("impressions", "groups"))
    score = numbers("score", score)
    names, index = checked_groups(groups, len(score), name="groups")
    counts = slice(None) if sample_weight is None else numbers("sample_weight", sample_weight) != 0
    y, score, weight = checked_rows(y, score, sample_weight, binary=True)
    index = index[counts]
    wins, positive, negative = _wins(y, score, weight, index, len(names))
    both = (positive > 0) & (negative > 0)
    per_group = wins[both] / (positive * negative)[both]
    share = (positive + negative)[both] if average == "impressions" else np.ones(len(per_group))
    return _quotient(np.sum(share * per_group), np.sum(share))


def _wins(y, score, weight, group, num_groups):
    """Computes, per group, the weight of correctly ordered pairs and the weight of each class.

    One sort orders the rows by group, then by score. Rows of equal group and score form a run, and
    everything follows from sums over runs: a positive wins against the negatives of earlier runs of
    its group and against half of those in its own run.
    """
    order = np.lexsort((score, group))
    group, score = group[order], score[order]
    positive, negative = (weight * y)[order], (weight * (1 - y))[order]
    # NaN differs from itself, so each NaN is its own run and reaches the result through `won`.
    starts = np.flatnonzero(np.r_[True, (group[1:] != group[:-1]) | (score[1:] != score[:-1])])
    starts = starts[: len(y)]  # no rows, no runs
    run_positive, run_negative = (
        np.add.reduceat(part, starts) if len(y) else part for part in (positive, negative)
    )
    run_group = group[starts]
    totals = [np.bincount(run_group, part, num_groups) for part in (run_positive, run_negative)]
    below = np.cumsum(run_negative) - run_negative  # includes all earlier groups: subtract them
    before_group = np.cumsum(totals[1]) - totals[1]
    won = run_positive * (below - before_group[run_group] + run_negative / 2)
    won = np.where(np.isnan(score[starts]), np.nan, won)
    return np.bincount(run_group, won, num_groups), *totals


def _quotient(numerator, denominator) -> float:
    return float(numerator / denominator) if denominator > 0 else float("nan")
