"""Rows that artefacts are checked with hold what a log holds: known and unknown values, and some nulls."""

import numpy as np
import pyarrow as pa
import pytest

from kranking.export.functions._raw_rows import log_columns
from kranking.features import (
    Age,
    Categorical,
    Numeric,
    Preprocessor,
    RawColumns,
    Sequence,
    TimePart,
)

pytestmark = pytest.mark.once
ROWS = 1000


@pytest.mark.parametrize("vocabulary", [("a", "b"), (3, 5)], ids=["strings", "integers"])
def test_drawn_ids_are_known_unknown_and_null(vocabulary):
    features = [Categorical("c", vocabulary=vocabulary)]
    values = log_columns(features, ROWS, np.random.default_rng(0))["c"].to_pylist()
    known = sum(value in vocabulary for value in values)
    nulls = sum(value is None for value in values)
    # Nine of ten are there, and seven of ten of those are known; ten deviations are 158 at most.
    assert known == pytest.approx(0.9 * 0.7 * ROWS, abs=158)
    assert nulls == pytest.approx(0.1 * ROWS, abs=95)
    assert known + nulls < ROWS


def test_drawn_hashed_ids_are_sometimes_null():
    values = log_columns([Categorical("c", hash_buckets=9)], ROWS, np.random.default_rng(0))["c"]
    assert values.null_count == pytest.approx(0.1 * ROWS, abs=95)


def test_drawn_lists_are_sometimes_null():
    features = [Categorical("c", vocabulary=("a",), max_length=3)]
    values = log_columns(features, ROWS, np.random.default_rng(0))["c"]
    assert values.null_count == pytest.approx(0.1 * ROWS, abs=95)


@pytest.mark.parametrize("zoned", [True, False])
def test_drawn_times_suit_every_feature_that_reads_them(zoned):
    features = [
        Categorical("day", vocabulary=("2026-01-05",)),
        Categorical("weekday", column=TimePart("day", "weekday", zoned=zoned)),
        Numeric("age", column=Age("made", at="day", zoned=zoned), mean=3e5, std=1e5),
    ]
    columns = log_columns(features, ROWS, np.random.default_rng(0))
    assert columns["day"].null_count == columns["made"].null_count == 0
    encoded = Preprocessor(features)(columns)
    assert set(encoded["weekday"]) == {1, 2, 3, 4, 5, 6, 7}
    assert abs(encoded["age"].mean()) < 0.2  # as learnt
    assert encoded["age"].std() == pytest.approx(1, abs=0.2)


@pytest.mark.parametrize("units", ["s", None], ids=["two units", "no unit"])
@pytest.mark.parametrize("zoned", [True, False])
def test_drawn_times_are_integers_if_those_are_times_to_every_feature(zoned, units):
    features = [
        Categorical("hour", column=TimePart("t", "hour", unit="ms", zoned=zoned)),
        Categorical("day", column=TimePart("t", "weekday", unit=units or "ms", zoned=zoned)),
    ]
    columns = log_columns(features, ROWS, np.random.default_rng(0))
    assert pa.types.is_integer(columns["t"].type) == (zoned and units is None)
    assert len(np.unique(Preprocessor(features)(columns)["hour"])) == 25


@pytest.mark.parametrize("zoned", [True, False])
def test_drawn_events_have_a_zone_as_the_times_that_they_are_compared_with(zoned):
    def history(name, time, request_time):
        return Sequence(name, of="item", max_length=3, time=time, request_time=request_time)

    features = [
        Categorical("item", vocabulary=("a", "b")),
        Numeric(
            "hour", column=TimePart("t", "hour", zoned=zoned), mean=12.0, std=7.0, nulls="mean"
        ),
        history("clicks", "times", "t"),
        history("saves", "times", "other"),  # `other` is compared with `times`, and so with `t`
    ]
    columns = log_columns(features, ROWS, np.random.default_rng(0))
    for convert in (Preprocessor(features), RawColumns(features)):
        convert(columns)
    assert pa.types.is_integer(columns["other"].type) == zoned
