"""Confidence intervals for differences between models and for the spread over seeds."""

from dataclasses import dataclass

import numpy as np

_DRAWS = 200_000  # samples for quantiles of χ² and t, accurate to about 0.5 %


@dataclass(frozen=True)
class Interval:
    """An estimate with a lower and an upper bound.

    Args:
        estimate: The estimate.
        low: Lower bound.
        high: Upper bound.

    >>> Interval(0.3, -0.1, 0.7).inside_noise
    True
    """

    estimate: float
    low: float
    high: float

    @property
    def inside_noise(self) -> bool:
        """Whether 0 is within the bounds, or the bounds are undefined."""
        return not (self.low > 0 or self.high < 0)

    def __str__(self) -> str:
        return f"{self.estimate:+.4g} [{self.low:+.4g}, {self.high:+.4g}]"


UNDEFINED = Interval(float("nan"), float("nan"), float("nan"))


def worth(gain: Interval) -> str:
    """Returns `"better"` or `"worse"` if the interval excludes 0, otherwise `"inside noise"`.

    >>> worth(Interval(0.3, -0.1, 0.7))
    'inside noise'
    """
    if np.isnan(gain.low):
        return "undefined"
    if gain.inside_noise:
        return "inside noise"
    return "better" if gain.estimate > 0 else "worse"


def paired_difference(values: np.ndarray, baseline: np.ndarray, level: float = 0.95) -> Interval:
    """Returns the mean difference of two models, paired over seeds and sessions, with its interval.

    With `d[i, s]` the difference for seed `i` in session `s`, `n` seeds and `N` sessions, the bounds are
    `mean(d) ± t(level, f) √v` with `v = s²(mean_s d) / n + s²(mean_i d) / N` and Satterthwaite's degrees of
    freedom `f`. The difficulty of a session cancels in `d`. The interval covers the variation over seeds
    and over sessions; with one seed, over sessions only.

    Args:
        values: Values of the model, shape `(seeds, sessions)`.
        baseline: Values of the baseline, of the same shape.
        level: Confidence level. For two seeds the coverage is slightly lower, 0.92 for 0.95.

    >>> random = np.random.default_rng(0)
    >>> base = random.random((3, 500))
    >>> paired_difference(base + 0.1 + 0.01 * random.random((3, 500)), base).inside_noise
    False
    """
    difference = np.asarray(values, float) - np.asarray(baseline, float)
    if difference.ndim != 2 or difference.shape[1] < 2 or np.isnan(difference).any():
        return UNDEFINED
    estimate = float(difference.mean())
    parts, free = [], []
    for means in (difference.mean(1), difference.mean(0)):
        if len(means) > 1:
            parts.append(means.var(ddof=1) / len(means))
            free.append(len(means) - 1)
    variance = sum(parts)
    if not len(difference) or variance == 0:
        return Interval(estimate, estimate, estimate) if len(difference) else UNDEFINED
    degrees = variance**2 / sum(part**2 / f for part, f in zip(parts, free, strict=True))
    half = _student(degrees, level) * np.sqrt(variance)
    return Interval(estimate, float(estimate - half), float(estimate + half))


def _student(free: float, level: float) -> float:
    return float(np.quantile(np.abs(np.random.default_rng(0).standard_t(free, _DRAWS)), level))


def paired_over_seeds(values: np.ndarray, baseline: np.ndarray, level: float = 0.95) -> Interval:
    """Returns the mean difference of a metric over paired seeds, with Student's t interval.

    `d ± t(level, n - 1) · sd(d) / √n`. The interval is undefined for one seed.

    >>> paired_over_seeds(np.array([0.71, 0.72, 0.73]), np.array([0.70, 0.70, 0.70])).estimate
    0.02
    """
    difference = np.asarray(values, float) - np.asarray(baseline, float)
    count, estimate = len(difference), float(round(difference.mean(), 12)) if len(difference) else 0
    if count < 2 or np.isnan(difference).any():
        return Interval(estimate, float("nan"), float("nan")) if count == 1 else UNDEFINED
    half = _student(count - 1, level) * difference.std(ddof=1) / np.sqrt(count)
    return Interval(estimate, float(estimate - half), float(estimate + half))


def spread(values: np.ndarray, level: float = 0.95) -> Interval:
    """Returns the standard deviation over seeds, with its interval for normally distributed values.

    The bounds are `s √((n - 1) / q)` with the χ² quantiles `q` of `n - 1` degrees of freedom; they are wide
    for few seeds.

    >>> bounds = spread(np.array([0.70, 0.71, 0.72, 0.71, 0.70]))
    >>> bounds.low < bounds.estimate < bounds.high
    True
    """
    values = np.asarray(values, float)
    if len(values) < 2 or np.isnan(values).any():
        return UNDEFINED
    free = len(values) - 1
    chi2 = np.random.default_rng(0).chisquare(free, _DRAWS)
    high, low = np.quantile(chi2, [(1 - level) / 2, (1 + level) / 2])
    s = float(values.std(ddof=1))
    return Interval(s, float(s * np.sqrt(free / low)), float(s * np.sqrt(free / high)))


def wider(values: np.ndarray, baseline: np.ndarray) -> float:
    """Returns the p-value of a one-sided F test for a larger spread than that of the baseline.

    `P(F(n - 1, m - 1) ≥ s² / s_b²)`; small values mean that the spread is larger.

    >>> wider(np.array([1.0, 2.0, 9.0]), np.array([1.0, 1.1, 1.2])) < 0.05
    True
    """
    values, baseline = np.asarray(values, float), np.asarray(baseline, float)
    both = len(values) > 1 and len(baseline) > 1
    if not both or np.isnan(values).any() or np.isnan(baseline).any() or not baseline.std():
        return float("nan")
    ratio = values.var(ddof=1) / baseline.var(ddof=1)
    f = np.random.default_rng(0).f(len(values) - 1, len(baseline) - 1, _DRAWS)
    return float(np.mean(f >= ratio))
