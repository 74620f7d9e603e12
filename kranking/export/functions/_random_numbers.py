"""Seeded numbers of the range that a declaration learnt."""

from typing import Any

import numpy as np
import pyarrow as pa

from kranking.features import Numeric


def refuses_nulls(feature: Any) -> bool:
    """Whether a feature is a number that must not be null."""
    return isinstance(feature, Numeric) and feature.nulls == "refuse" and not feature.bucketized


def random_numbers(feature: Numeric, size: int, rng: Any) -> pa.Array:
    """Returns random numbers, some of them null if the feature takes nulls."""
    low, high = feature.bounds or (None, None)
    centre, spread = feature.mean or 0.0, feature.std or 1.0
    if feature.boundaries:
        centre, spread = np.mean(feature.boundaries), np.std(feature.boundaries) + 1.0
    elif low is not None and high is not None:
        centre, spread = (low + high) / 2, high - low
    values = centre + spread * rng.standard_normal(size)
    if feature.transform == "log":
        values = np.sign(values) * np.expm1(np.abs(values))
    missing = rng.random(size) < 0.1
    if refuses_nulls(feature):
        missing[:] = False
    return pa.array(values, mask=missing)
