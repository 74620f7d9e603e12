"""Exact log loss, normalized entropy and calibration of probabilities or logits, in float64."""

import warnings

import numpy as np

from kranking._core import check_choice, check_positive_int
from kranking.metrics._checks import checked_rows

# Fewer logits can lie in [0, 1] by chance, and near 0.66 both readings are almost the same probability.
_FEW, _CLEARLY = 20, 0.99


def log_loss(
    y: np.ndarray,
    score: np.ndarray,
    sample_weight: np.ndarray | None = None,
    *,
    from_logits: bool = False,
) -> float:
    """Computes the mean logarithmic loss, in nats.

    `-sum(w * (y * ln p + (1 - y) * ln(1 - p))) / sum(w)`, computed from the logit `z` of `p` as
    `softplus(z) - y * z`. Nothing is clipped: it is infinite if what happened had a probability of exactly
    0. In float32, 1 - p is 0 from a logit of 17 on; the logits themselves stay exact. NaN (undefined)
    without rows.

    Args:
        y: Labels in [0, 1], `(rows,)` or `(rows, 1)`.
        score: Probabilities, as `model.predict` returns, or logits. Same shape as `y`.
        sample_weight: Nonnegative weights. Rows of weight 0 are ignored. Same shape as `y`.
        from_logits: Whether `score` are logits, as `model(x)` returns.

    Returns:
        A float, or NaN.

    Raises:
        ValueError: If a probability is outside [0, 1], which logits are, or a label or weight is wrong.

    >>> bool(np.isclose(log_loss(np.array([0, 1]), np.array([0.5, 0.25])), np.log(8) / 2))
    True
    >>> bool(np.isclose(log_loss(np.array([0, 1]), np.zeros(2), from_logits=True), np.log(2)))
    True

    Reference: [He et al., 2014, section 2](https://doi.org/10.1145/2648584.2648589)
    """
    y, score, weight = _rows(y, score, sample_weight, from_logits)
    return _quotient(np.sum(weight * _cross_entropy(y, score, from_logits)), np.sum(weight))


def normalized_entropy(
    y: np.ndarray,
    score: np.ndarray,
    sample_weight: np.ndarray | None = None,
    *,
    from_logits: bool = False,
) -> float:
    """Computes the log loss relative to the log loss of always predicting the base rate.

    `logloss / H(q)` with `q = sum(w * y) / sum(w)` and `H(q) = -q ln q - (1 - q) ln(1 - q)`: 1 is the
    best constant, lower is better. NaN (undefined) if all labels are equal.

    Args:
        y: Labels in [0, 1], `(rows,)` or `(rows, 1)`.
        score: Probabilities, as `model.predict` returns, or logits. Same shape as `y`.
        sample_weight: Nonnegative weights. Rows of weight 0 are ignored. Same shape as `y`.
        from_logits: Whether `score` are logits, as `model(x)` returns.

    Returns:
        A float, or NaN.

    Raises:
        ValueError: As `log_loss`.

    >>> round(normalized_entropy(np.array([0, 1]), np.array([0.5, 0.5])), 12)
    1.0

    Reference: [He et al., 2014, section 2](https://doi.org/10.1145/2648584.2648589)
    """
    y, score, weight = _rows(y, score, sample_weight, from_logits)
    loss = np.sum(weight * _cross_entropy(y, score, from_logits))
    parts = np.array([np.sum(weight * y), np.sum(weight * (1 - y))])
    parts = parts[parts > 0]
    return _quotient(loss, np.sum(parts * np.log(np.sum(parts) / parts)))


def calibration(
    y: np.ndarray,
    score: np.ndarray,
    sample_weight: np.ndarray | None = None,
    *,
    from_logits: bool = False,
) -> float:
    """Computes the predicted number of actions divided by the observed number.

    `sum(w * p) / sum(w * y)`: 1 is ideal, larger values are overconfident. NaN (undefined) without a
    positive row.

    Args:
        y: Labels in [0, 1], `(rows,)` or `(rows, 1)`.
        score: Probabilities, as `model.predict` returns, or logits. Same shape as `y`.
        sample_weight: Nonnegative weights. Rows of weight 0 are ignored. Same shape as `y`.
        from_logits: Whether `score` are logits, as `model(x)` returns.

    Returns:
        A float, or NaN.

    Raises:
        ValueError: As `log_loss`.

    >>> calibration(np.array([0, 1, 0, 0]), np.full(4, 0.5))
    2.0

    Reference: [He et al., 2014, section 2](https://doi.org/10.1145/2648584.2648589)
    """
    y, score, weight = _rows(y, score, sample_weight, from_logits)
    return _quotient(np.sum(weight * _probabilities(score, from_logits)), np.sum(weight * y))


def expected_calibration_error(
    y: np.ndarray,
    score: np.ndarray,
    sample_weight: np.ndarray | None = None,
    num_bins: int = 10,
    *,
    from_logits: bool = False,
) -> float:
    """Computes the expected calibration error (ECE) over bins of equal mass.

    `sum(w[b] * |mean p[b] - mean y[b]|) / sum(w[b])` over `num_bins` bins that split the rows,
    ordered by score, into equal weights. Rows of equal score share one bin, the one at the midpoint of
    their weight, so the order of the rows does not matter. NaN (undefined) without rows or with a NaN
    score.

    Args:
        y: Labels in [0, 1], `(rows,)` or `(rows, 1)`.
        score: Probabilities, as `model.predict` returns, or logits. Same shape as `y`.
        sample_weight: Nonnegative weights. Rows of weight 0 are ignored. Same shape as `y`.
        num_bins: Number of bins. Positive integer.
        from_logits: Whether `score` are logits, as `model(x)` returns.

    Returns:
        A float in [0, 1], or NaN.

    Raises:
        ValueError: As `log_loss`.

    >>> expected_calibration_error(np.array([0, 1, 0, 0]), np.full(4, 0.5))
    0.25

    Reference: [Naeini et al., 2015](https://doi.org/10.1609/aaai.v29i1.9602)
    """
    check_positive_int("num_bins", num_bins)
    y, score, weight = _rows(y, score, sample_weight, from_logits)
    if not len(y) or np.isnan(score).any():
        return float("nan")
    _, run = np.unique(score, return_inverse=True)
    mass = np.bincount(run, weight)
    middle = (np.cumsum(mass) - mass / 2) / np.sum(mass)
    bins = np.minimum((middle * num_bins).astype(int), num_bins - 1)[run]
    gaps = np.bincount(bins, weight * (_probabilities(score, from_logits) - y))
    return float(np.sum(np.abs(gaps)) / np.sum(weight))


def _rows(y, score, sample_weight, from_logits):
    """Returns checked rows of nonzero weight; warns of logits that look like probabilities."""
    check_choice("from_logits", from_logits, (True, False))
    y, score, weight = checked_rows(y, score, sample_weight, binary=False, from_logits=from_logits)
    if from_logits and len(score) >= _FEW and np.all((score >= 0) & (score <= 1)):
        as_logits, as_probabilities = (
            np.sum(weight * _cross_entropy(y, score, kind)) for kind in (True, False)
        )
        if as_probabilities < _CLEARLY * as_logits:
            warnings.warn(
                f"All {len(score)} scores are in [0, 1], and fit the labels better as probabilities than "
                "as logits. Omit from_logits=True if they are probabilities, as `model.predict` returns.",
                stacklevel=3,
            )
    return y, score, weight


def _softplus(x):
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))  # logaddexp would warn about NaN


def _probabilities(score, from_logits):
    return np.exp(-_softplus(-score)) if from_logits else score


def _cross_entropy(y, score, from_logits):
    """Computes the loss of each row; 0 where what happened had a probability of 1."""
    with np.errstate(invalid="ignore", divide="ignore"):
        if from_logits:
            surprise = _softplus(-score), _softplus(score)
        else:
            surprise = -np.log(score), -np.log1p(-score)
        positive = np.where(y == 0, 0, y * surprise[0])
        negative = np.where(y == 1, 0, (1 - y) * surprise[1])
    return np.where(np.isnan(score), np.nan, positive + negative)


def _quotient(numerator, denominator) -> float:
    return float(numerator / denominator) if denominator > 0 else float("nan")
