"""What a difference between two models is worth, and what a spread over seeds is."""

from dataclasses import dataclass

import numpy as np

from kranking._core import check_positive_int

_DRAWS = 200_000  # quantiles of χ² and t, drawn: good to about half a percent


@dataclass(frozen=True)
class Interval:
    """An estimate between two bounds.

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
        """Whether no difference, 0, is within the bounds; so is whatever could not be computed."""
        return not (self.low > 0 or self.high < 0)

    def __str__(self) -> str:
        return f"{self.estimate:+.4g} [{self.low:+.4g}, {self.high:+.4g}]"


UNDEFINED = Interval(float("nan"), float("nan"), float("nan"))


def paired_bootstrap(
    values: np.ndarray,
    baseline: np.ndarray,
    *,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """Gives the mean difference of two models over the same sessions and seeds, with its interval.

    `d = mean(values) - mean(baseline)`. A resample draws seeds with replacement, and sessions with
    replacement, the same ones for both models: what makes a session easy falls out of the difference. The
    bounds are percentiles of the resampled differences. With one seed, only sessions are drawn, and what
    another seed would change is not in the interval.

    Args:
        values: Value of each session, `(seeds, sessions)`.
        baseline: Those of the baseline, likewise.
        level: Share of resamples between the bounds.
        resamples: Number of resamples.
        seed: Seed of the drawing.

    >>> random = np.random.default_rng(0)
    >>> base = random.random((3, 500))
    >>> paired_bootstrap(base + 0.1, base).inside_noise
    False
    """
    check_positive_int("resamples", resamples)
    difference = np.asarray(values, float) - np.asarray(baseline, float)
    if difference.ndim != 2 or not difference.size or np.isnan(difference).any():
        return UNDEFINED
    seeds, sessions = difference.shape
    random = np.random.default_rng(seed)
    drawn = np.empty(resamples)
    for i in range(resamples):
        some = difference[random.integers(0, seeds, seeds)].mean(0)
        drawn[i] = some[random.integers(0, sessions, sessions)].mean()
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(difference.mean()), float(low), float(high))


def paired_over_seeds(values: np.ndarray, baseline: np.ndarray, level: float = 0.95) -> Interval:
    """Gives the mean difference of a figure over paired seeds, with Student's interval.

    `d ± t(level, n - 1) · sd(d) / √n`. One seed has no interval.

    >>> paired_over_seeds(np.array([0.71, 0.72, 0.73]), np.array([0.70, 0.70, 0.70])).estimate
    0.02
    """
    difference = np.asarray(values, float) - np.asarray(baseline, float)
    count, estimate = len(difference), float(round(difference.mean(), 12)) if len(difference) else 0
    if count < 2 or np.isnan(difference).any():
        return Interval(estimate, float("nan"), float("nan")) if count == 1 else UNDEFINED
    t = np.abs(np.random.default_rng(0).standard_t(count - 1, _DRAWS))
    half = np.quantile(t, level) * difference.std(ddof=1) / np.sqrt(count)
    return Interval(estimate, float(estimate - half), float(estimate + half))


def spread(values: np.ndarray, level: float = 0.95) -> Interval:
    """Gives the standard deviation over seeds with the interval of a normal sample.

    `s √((n - 1) / q)` with the χ² quantiles `q` of `n - 1` degrees of freedom. Few seeds say little.

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
    return Interval(s, s * np.sqrt(free / low), s * np.sqrt(free / high))


def wider(values: np.ndarray, baseline: np.ndarray) -> float:
    """Gives the chance of a spread this much above the baseline's if both were equally reproducible.

    The one-sided F test: `P(F(n - 1, m - 1) ≥ s² / s_b²)`. Small means: worse than the baseline.

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
