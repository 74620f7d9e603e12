"""Exact log loss, normalized entropy and calibration of logits, in float64."""

import numpy as np

from kranking._core import check_positive_int
from kranking.metrics._checks import checked_rows


def log_loss(y: np.ndarray, logits: np.ndarray, sample_weight: np.ndarray | None = None) -> float:
    """Computes the mean logarithmic loss, in nats.

    `sum(w * (softplus(z) - y * z)) / sum(w)`. NaN (undefined) without rows.

    Args:
        y: Labels in [0, 1], `(rows,)` or `(rows, 1)`.
        logits: Logits, not probabilities. Same shape as `y`.
        sample_weight: Nonnegative weights. Rows of weight 0 are ignored. Same shape as `y`.

    Returns:
        A float, or NaN.

    >>> bool(np.isclose(log_loss(np.array([0, 1]), np.zeros(2)), np.log(2)))
    True

    Reference: [He et al., 2014, section 2](https://doi.org/10.1145/2648584.2648589)
    """
    y, logits, weight = checked_rows(y, logits, sample_weight, binary=False)
    return _quotient(np.sum(weight * _cross_entropy(y, logits)), np.sum(weight))


def normalized_entropy(
    y: np.ndarray, logits: np.ndarray, sample_weight: np.ndarray | None = None
) -> float:
    """Computes the log loss relative to the log loss of always predicting the base rate.

    `logloss / H(q)` with `q = sum(w * y) / sum(w)` and `H(q) = -q ln q - (1 - q) ln(1 - q)`: 1 is the
    best constant, lower is better. NaN (undefined) if all labels are equal.

    Args:
        y: Labels in [0, 1], `(rows,)` or `(rows, 1)`.
        logits: Logits, not probabilities. Same shape as `y`.
        sample_weight: Nonnegative weights. Rows of weight 0 are ignored. Same shape as `y`.

    Returns:
        A float, or NaN.

    >>> round(normalized_entropy(np.array([0, 1]), np.zeros(2)), 12)
    1.0

    Reference: [He et al., 2014, section 2](https://doi.org/10.1145/2648584.2648589)
    """
    y, logits, weight = checked_rows(y, logits, sample_weight, binary=False)
    loss = np.sum(weight * _cross_entropy(y, logits))
    parts = np.array([np.sum(weight * y), np.sum(weight * (1 - y))])
    parts = parts[parts > 0]
    return _quotient(loss, np.sum(parts * np.log(np.sum(parts) / parts)))


def calibration(
    y: np.ndarray, logits: np.ndarray, sample_weight: np.ndarray | None = None
) -> float:
    """Computes the predicted number of actions divided by the observed number.

    `sum(w * sigmoid(z)) / sum(w * y)`: 1 is ideal, larger values are overconfident. NaN (undefined)
    without a positive row.

    Args:
        y: Labels in [0, 1], `(rows,)` or `(rows, 1)`.
        logits: Logits, not probabilities. Same shape as `y`.
        sample_weight: Nonnegative weights. Rows of weight 0 are ignored. Same shape as `y`.

    Returns:
        A float, or NaN.

    >>> calibration(np.array([0, 1, 0, 0]), np.zeros(4))
    2.0

    Reference: [He et al., 2014, section 2](https://doi.org/10.1145/2648584.2648589)
    """
    y, logits, weight = checked_rows(y, logits, sample_weight, binary=False)
    return _quotient(np.sum(weight * _sigmoid(logits)), np.sum(weight * y))


def expected_calibration_error(
    y: np.ndarray,
    logits: np.ndarray,
    sample_weight: np.ndarray | None = None,
    num_bins: int = 10,
) -> float:
    """Computes the expected calibration error (ECE) over bins of equal mass.

    `sum(w[b] * |mean p[b] - mean y[b]|) / sum(w[b])` over `num_bins` bins that split the rows,
    ordered by probability, into equal weights. Rows of equal logit share one bin, the one at the
    midpoint of their weight, so the order of the rows does not matter. NaN (undefined) without rows
    or with a NaN logit.

    Args:
        y: Labels in [0, 1], `(rows,)` or `(rows, 1)`.
        logits: Logits, not probabilities. Same shape as `y`.
        sample_weight: Nonnegative weights. Rows of weight 0 are ignored. Same shape as `y`.
        num_bins: Number of bins. Positive integer.

    Returns:
        A float in [0, 1], or NaN.

    >>> expected_calibration_error(np.array([0, 1, 0, 0]), np.zeros(4))
    0.25

    Reference: [Naeini et al., 2015](https://doi.org/10.1609/aaai.v29i1.9602)
    """
    check_positive_int("num_bins", num_bins)
    y, logits, weight = checked_rows(y, logits, sample_weight, binary=False)
    if not len(y) or np.isnan(logits).any():
        return float("nan")
    _, run = np.unique(logits, return_inverse=True)
    mass = np.bincount(run, weight)
    middle = (np.cumsum(mass) - mass / 2) / np.sum(mass)
    bins = np.minimum((middle * num_bins).astype(int), num_bins - 1)[run]
    gaps = np.bincount(bins, weight * (_sigmoid(logits) - y))
    return float(np.sum(np.abs(gaps)) / np.sum(weight))


def _softplus(x):
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))  # logaddexp would warn about NaN


def _sigmoid(logits):
    return np.exp(-_softplus(-logits))


def _cross_entropy(y, logits):
    """Computes the loss of each row; 0 for an infinite logit with the sign of the label."""
    with np.errstate(invalid="ignore"):
        positive = np.where(y == 0, 0, y * _softplus(-logits))
        negative = np.where(y == 1, 0, (1 - y) * _softplus(logits))
    return np.where(np.isnan(logits), np.nan, positive + negative)


def _quotient(numerator, denominator) -> float:
    return float(numerator / denominator) if denominator > 0 else float("nan")
