"""The statistics are checked on data whose answer is known."""

import numpy as np
import pytest

from kranking.comparison import Interval, paired_difference, paired_over_seeds, spread, wider
from kranking.comparison._comparison_page import pareto


def random(seed=0):
    return np.random.default_rng(seed)


def test_sessions_are_paired():
    """Sessions vary far more than models differ: a pairing that is lost would drown the difference."""
    base = 10 * random().standard_normal((3, 400))
    noise = 0.05 * random(1).standard_normal((3, 400))
    found = paired_difference(base + 0.1 + noise, base)
    assert 0.08 < found.low < found.estimate < found.high < 0.12
    assert found.estimate == pytest.approx(0.1 + noise.mean())


@pytest.mark.parametrize(
    ("seeds", "most"),
    [
        (1, 0.10),
        pytest.param(2, 0.15, marks=pytest.mark.slow),
        (3, 0.10),
        pytest.param(5, 0.10, marks=pytest.mark.slow),
    ],
)
def test_interval_has_its_level(seeds, most):
    """Of 200 experiments without any difference, few are called one, also where seeds differ much."""
    called = 0
    for trial in range(200):
        draw = random(trial)
        luck = 0.05 * draw.standard_normal((seeds, 1)) * (seeds > 1)
        session = draw.standard_normal((1, 500))
        difference = luck + 0.5 * session + draw.standard_normal((seeds, 500))
        found = paired_difference(difference, np.zeros_like(difference))
        called += not found.inside_noise
    assert called / 200 <= most


def test_one_seed_that_differs_is_no_difference():
    base = random().standard_normal((2, 1000))
    assert paired_difference(base + np.array([[1.0], [-0.2]]), base).inside_noise
    assert paired_difference(base, base).inside_noise


def test_interval_over_seeds_is_students():
    """t(0.975, 4) is 2.776, from any table."""
    values = np.array([0.1, 0.2, 0.3, 0.4, 0.5])
    found = paired_over_seeds(values, np.zeros(5))
    half = 2.776 * values.std(ddof=1) / np.sqrt(5)
    assert found.estimate == pytest.approx(0.3)
    assert found.high - found.estimate == pytest.approx(half, rel=0.02)


def test_spread_is_that_of_chi_square():
    """χ² of 4 degrees of freedom: quantiles 0.484 and 11.143."""
    values = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    found = spread(values)
    s = values.std(ddof=1)
    assert found.estimate == pytest.approx(s)
    assert found.low == pytest.approx(s * np.sqrt(4 / 11.143), rel=0.02)
    assert found.high == pytest.approx(s * np.sqrt(4 / 0.484), rel=0.02)


def test_a_wider_spread_is_found_out():
    """F(4, 4) has its 95 % quantile at 6.388."""
    base = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    assert wider(base * np.sqrt(6.388), base) == pytest.approx(0.05, abs=0.003)
    assert wider(base, base) == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("function", [paired_over_seeds, wider])
def test_one_seed_has_no_interval(function):
    found = function(np.array([1.0]), np.array([0.5]))
    bounds = (found.low, found.high) if isinstance(found, Interval) else (found,)
    assert np.isnan(bounds).all()
    assert np.isnan(spread(np.array([1.0])).low)


def test_undefined_is_inside_noise():
    undefined = np.full((2, 3), np.nan)
    assert paired_difference(undefined, undefined).inside_noise
    assert np.isnan(paired_difference(np.zeros((2, 0)), np.zeros((2, 0))).estimate)


def test_front_leaves_out_what_is_beaten():
    points = [(3.0, 0.2), (1.0, 0.1), (2.0, 0.3), (2.0, 0.25), (4.0, 0.3)]
    assert pareto(points) == [(1.0, 0.1), (2.0, 0.3)]
    assert pareto([]) == []
