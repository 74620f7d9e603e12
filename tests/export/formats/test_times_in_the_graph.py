"""Parts and ages of times inside served graphs equal those of the host, and those of Python's datetime."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from encoders_in_graphs import run_onnx, run_tensorflow

from kranking.export.functions._raw_rows import log_columns
from kranking.features import Age, Categorical, Numeric, Preprocessor, RawColumns, TimePart

pytestmark = pytest.mark.once
PARTS = ("hour", "weekday", "hour_of_week", "day_of_month", "month")
AGE = Age("created", at="time", zoned=True)
FEATURES = [
    *(Categorical(p, column=TimePart("time", p, zoned=True)) for p in PARTS),
    Numeric("age", column=AGE, transform="none", nulls=-1.0),
    Numeric("young", column=AGE, transform="bucketize", boundaries=(0, 3600, 86_400)),
    Numeric("number", column=TimePart("time", "month", zoned=True), transform="none", nulls=0.0),
    Categorical("far", column=TimePart("other", "day_of_month", zoned=False)),
    Numeric("seen", column=Age("shown", at="time", unit="ms", zoned=True), mean=1e5, std=2e5),
]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module", params=[run_tensorflow, run_onnx], ids=["tensorflow", "onnx"])
def graph(request):
    return request.param(RawColumns(FEATURES))


def times(rng):
    """Returns times of all years, most of them near 1970, and those where something changes."""
    first, last = ((t.replace(tzinfo=UTC) - EPOCH).days for t in (datetime.min, datetime.max))
    days = [-1, 0, 11_016, 11_017, first, last, *rng.integers(first, last, 200)]
    days += rng.integers(-99, 99, 100).tolist()
    edges = [0, 1, 86_399_999_999, *rng.integers(0, 86_400_000_000, 7)]
    return [EPOCH + timedelta(days=int(d), microseconds=int(u)) for d in days for u in edges]


def test_every_instant_has_the_parts_and_ages_of_pythons_datetime(graph):
    rng = np.random.default_rng(0)
    at = times(rng)
    created = [at[i] for i in rng.permutation(len(at))]
    log = {"time": at, "created": created, "shown": created}
    log["other"] = [t.replace(tzinfo=None) for t in at]
    expected = {
        "hour": [1 + t.hour for t in at],
        "weekday": [1 + t.weekday() for t in at],
        "hour_of_week": [1 + 24 * t.weekday() + t.hour for t in at],
        "day_of_month": [t.day for t in at],
        "month": [t.month for t in at],
        "age": [np.float32((t - c) / timedelta(seconds=1)) for t, c in zip(at, created)],
        "number": [t.month for t in at],
    }
    for made in (graph(RawColumns(FEATURES)(log)), Preprocessor(FEATURES)(log)):
        for name, values in expected.items():
            np.testing.assert_array_equal(made[name], values, name)


@pytest.mark.parametrize("size", [1, 300])
def test_random_rows(graph, size):
    columns = log_columns(FEATURES, size, np.random.default_rng(size))
    expected, made = Preprocessor(FEATURES)(columns), graph(RawColumns(FEATURES)(columns))
    assert list(made) == list(expected)
    for name, values in expected.items():
        np.testing.assert_array_equal(made[name], values, name)
    if size > 1:
        assert columns["shown"].type == pa.int64()
        assert len(np.unique(expected["month"])) == 12
        assert set(np.unique(expected["far"])) > {0, 1, 31}


def test_what_is_no_time_is_null(graph):
    tensors = RawColumns(FEATURES)(
        {"time": [EPOCH] * 4, "created": [EPOCH] * 4, "shown": [0] * 4, "other": [None] * 4}
    )
    assert set(tensors) == {"time.us", "created.us", "time.us.seen", "shown.us", "other.us"}
    tensors["time.us"] = np.array([0, -(2**63), 2**63 - 1, -(2**62)])
    made = graph(tensors)
    for part in PARTS:
        assert made[part].tolist()[1:] == [0, 0, 0], part
    assert made["age"].tolist() == [0, -1, -1, -1]
    assert made["young"].tolist() == [2, 0, 0, 0]
    assert made["number"].tolist() == [1, 0, 0, 0]
