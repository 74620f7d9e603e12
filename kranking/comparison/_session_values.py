"""Per-session values of metrics that are ratios of sums, for intervals over sessions."""

import numpy as np

from kranking.metrics import calibration, normalized_entropy


def entropy_by_session(
    y: np.ndarray, logits: np.ndarray, weight: np.ndarray, index: np.ndarray
) -> np.ndarray:
    """Returns values per session whose mean is the normalized entropy, for its standard error.

    NE is a ratio `Σ a_s / Σ b_s` over sessions `s`, with `a_s` the log loss and `b_s` the sum of
    `ln(1 / q)` over positives and `ln(1 / (1 - q))` over negatives, for the rate `q` of positives. The
    values are those of the linearized ratio, `NE + S (a_s - NE b_s) / Σ b` with `S` sessions, which also
    accounts for the variation of `q`.

    Args:
        y: Labels, shape `(rows,)`.
        logits: Logits, shape `(rows,)`.
        weight: Weights, shape `(rows,)`; rows of weight 0 are ignored.
        index: Index of the session of each row, shape `(rows,)`.
    """
    whole = normalized_entropy(y, logits, weight, from_logits=True)
    positive, negative = np.sum(weight * y), np.sum(weight * (1 - y))
    if np.isnan(whole):
        return np.full(index.max(initial=-1) + 1, np.nan)
    total = positive + negative
    surprise = y * np.log(total / positive) + (1 - y) * np.log(total / negative)
    # softplus(z) - y z, without cancellation at large y z
    loss = np.maximum(logits, 0) - y * logits + np.log1p(np.exp(-np.abs(logits)))
    return _values(whole, weight * loss, weight * surprise, index)


def calibration_by_session(
    y: np.ndarray, logits: np.ndarray, weight: np.ndarray, index: np.ndarray
) -> np.ndarray:
    """Returns values per session whose mean is the calibration, expected over observed actions."""
    whole = calibration(y, logits, weight, from_logits=True)
    if np.isnan(whole):
        return np.full(index.max(initial=-1) + 1, np.nan)
    expected = 0.5 * (1 + np.tanh(logits / 2))
    return _values(whole, weight * expected, weight * y, index)


def _values(whole: float, above: np.ndarray, below: np.ndarray, index: np.ndarray) -> np.ndarray:
    above, below = np.bincount(index, above), np.bincount(index, below)
    return whole + len(above) * (above - whole * below) / np.sum(below)
