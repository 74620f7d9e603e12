"""Seeded columns of times, for the features that read parts and ages of them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from kranking.export.functions._random_numbers import random_numbers
from kranking.features import Age, Feature, Numeric

_PER_UNIT = {"s": 10**6, "ms": 10**3, "us": 1}  # microseconds
_NOW = 1_700_000_000 * 10**6
_FAR = (-62 * 10**15, 253 * 10**15)  # of the years 5 to 9987


def time_columns(features: Sequence[Feature], size: int, rng: Any) -> dict[str, pa.Array]:
    """Returns times of the present and of far years, and nulls; those of an `Age` are apart as learnt."""
    columns: dict[str, pa.Array] = {}
    for feature in sorted(features, key=lambda f: not isinstance(f.times, Age)):
        for name in reversed(feature.columns if feature.times is not None else ()):
            if name not in columns:
                columns[name] = _times(feature, name, columns, size, rng)
    return columns


def _times(feature: Any, name: str, columns: dict[str, pa.Array], size: int, rng: Any) -> pa.Array:
    times = feature.times
    microseconds = _NOW + rng.integers(-2 * 10**13, 2 * 10**13, size)
    if isinstance(times, Age) and isinstance(feature, Numeric) and name == times.column:
        ages = random_numbers(feature, size, rng).fill_null(0).to_numpy()
        at = columns[times.at].cast(pa.int64()).fill_null(0).to_numpy()
        if pa.types.is_integer(columns[times.at].type):
            at = at * _PER_UNIT[times.unit or "us"]
        microseconds = at - (np.clip(ages, -1e9, 1e9) * 1e6).astype(np.int64)
    elif not isinstance(times, Age):
        far = rng.integers(*_FAR, size)
        microseconds = np.where(rng.random(size) < 0.7, microseconds, far)
    values = pa.array(microseconds // _PER_UNIT[times.unit or "us"], mask=rng.random(size) < 0.1)
    zone = "UTC" if times.zoned else None
    return values if times.unit else values.cast(pa.timestamp("us", zone))
