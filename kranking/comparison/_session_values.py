"""Metrics that are ratios of sums, as one value per session: what an interval over sessions needs."""

import numpy as np

from kranking.metrics import calibration, normalized_entropy


def entropy_by_session(
    y: np.ndarray, logits: np.ndarray, weight: np.ndarray, index: np.ndarray
) -> np.ndarray:
    """Gives a value per session whose mean is the normalised entropy, and whose spread is its error.

    NE is a ratio `Σ a_s / Σ b_s` over sessions: losses over surprises, `ln(1 / q)` for each positive and
    `ln(1 / (1 - q))` for each negative. The values are `NE + S (a_s - NE b_s) / Σ b`, the linearised ratio,
    so what varies in `q` counts as well.

    Args:
        y: Labels, `(rows,)`.
        logits: Logits likewise.
        weight: Weights likewise; rows of weight 0 are not there.
        index: Number of each row's session, `(rows,)`.
    """
    whole = normalized_entropy(y, logits, weight)
    positive, negative = np.sum(weight * y), np.sum(weight * (1 - y))
    if np.isnan(whole):
        return np.full(index.max(initial=-1) + 1, np.nan)
    total = positive + negative
    surprise = y * np.log(total / positive) + (1 - y) * np.log(total / negative)
    # softplus(z) - y z, without the cancellation at large y z
    loss = np.maximum(logits, 0) - y * logits + np.log1p(np.exp(-np.abs(logits)))
    return _values(whole, weight * loss, weight * surprise, index)


def calibration_by_session(
    y: np.ndarray, logits: np.ndarray, weight: np.ndarray, index: np.ndarray
) -> np.ndarray:
    """Gives the same for calibration: expected over observed actions."""
    whole = calibration(y, logits, weight)
    if np.isnan(whole):
        return np.full(index.max(initial=-1) + 1, np.nan)
    expected = 0.5 * (1 + np.tanh(logits / 2))
    return _values(whole, weight * expected, weight * y, index)


def _values(whole: float, above: np.ndarray, below: np.ndarray, index: np.ndarray) -> np.ndarray:
    above, below = np.bincount(index, above), np.bincount(index, below)
    return whole + len(above) * (above - whole * below) / np.sum(below)
