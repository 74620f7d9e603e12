"""Seeded columns of times, for the features that read parts and ages of them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kranking.export.functions._random_numbers import random_numbers, refuses_nulls
from kranking.features import Age, Categorical, Feature, Numeric

_PER_UNIT = {"s": 10**6, "ms": 10**3, "us": 1}  # microseconds
_NOW = 1_700_000_000 * 10**6
_FAR = (-62 * 10**15, 253 * 10**15)  # of the years 5 to 9987


def time_columns(features: Sequence[Feature], size: int, rng: Any) -> dict[str, pa.Array]:
    """Returns times of the present and of far years, and nulls; those of an `Age` are apart as learnt.

    A column that is also read as ids has text in ISO 8601.
    """
    texts = {f.source for f in features if isinstance(f, Categorical) and f.times is None}
    whole = {name for f in features if refuses_nulls(f) for name in f.columns}
    of_times: Any = [f for f in features if f.times is not None]
    columns: dict[str, pa.Array] = {}  # timestamps
    for feature in sorted(of_times, key=lambda f: not isinstance(f.times, Age)):
        for name in reversed(feature.columns):
            if name not in columns:
                missing = rng.random(size) < (0 if name in whole else 0.1)
                drawn = pa.array(_microseconds(feature, name, columns, size, rng), mask=missing)
                columns[name] = drawn.cast(
                    pa.timestamp("us", "UTC" if feature.times.zoned else None)
                )
    for name, column in columns.items():
        units = {(f.times.unit, f.times.zoned) for f in of_times if name in f.columns}
        (unit, zoned), *others = units
        if unit is not None and zoned and not others:  # what integers are to all features
            columns[name] = pc.divide(column.cast(pa.int64()), _PER_UNIT[unit])  # pyright: ignore
        elif name in texts:  # a timestamp is no id
            columns[name] = column.cast(pa.string())
    return columns


def _microseconds(
    feature: Any, name: str, columns: Mapping[str, pa.Array], size: int, rng: Any
) -> np.ndarray:
    times = feature.times
    near = _NOW + rng.integers(-2 * 10**13, 2 * 10**13, size)
    if not isinstance(times, Age):
        return np.where(rng.random(size) < 0.7, near, rng.integers(*_FAR, size))
    if name == times.at or not isinstance(feature, Numeric):
        return near
    ages = random_numbers(feature, size, rng).fill_null(0).to_numpy()
    at = columns[times.at].cast(pa.int64()).fill_null(0).to_numpy()
    return at - (np.clip(ages, -1e9, 1e9) * 1e6).astype(np.int64)
