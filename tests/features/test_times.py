"""Parts and ages of times on the host: every form of a time, and what is refused. `test_times_in_the_graph`
compares with Python's datetime in all years."""

import dataclasses
import datetime
import decimal
import json
import types
from datetime import UTC, timedelta, timezone

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import kranking as kr
from kranking.features import (
    Age,
    Categorical,
    Embedding,
    Numeric,
    Preprocessor,
    RawColumns,
    Sequence,
    TimePart,
    fit,
    from_json,
    schema_hash,
    to_json,
)

pytestmark = pytest.mark.once
HOUR = Categorical("hour", column=TimePart("time", "hour"))
DAY = Categorical("day", column=TimePart("time", "weekday"))
AGE = Numeric("age", column=Age("created", at="time"), transform="none", nulls=-1.0)
CLOCK = datetime.datetime(1969, 12, 28, 23, 59, 59, 999_999)  # a Sunday
SUNDAY = [7, 0]


def encoded(feature, rows):
    """Returns the inputs of a feature that was fitted to the same rows."""
    return Preprocessor(fit([feature], rows))(rows)[feature.name].tolist()


def stamps(unit, zone=None):
    clock = CLOCK.replace(microsecond=0) if unit in ("s", "ms") else CLOCK  # Arrow would round up
    return pa.array([clock, None]).cast(pa.timestamp(unit, zone))


FORMS = {
    "datetimes": [CLOCK, None],
    "aware": [CLOCK.replace(tzinfo=UTC), None],
    "in Kathmandu": [
        (CLOCK + timedelta(minutes=345)).replace(tzinfo=timezone(timedelta(minutes=345))),
        None,
    ],
    "object": np.array([CLOCK, None], object),
    "datetime64[m]": np.array(["1969-12-28T23:59", "NaT"], "datetime64[m]"),
    "datetime64[ns]": np.array(["1969-12-28T23:59:59.999999999", "NaT"], "datetime64[ns]"),
    **{unit: stamps(unit) for unit in ("s", "ms", "us", "ns")},
    "zone": stamps("ns", "America/New_York"),
    "dictionary": stamps("us").dictionary_encode(),
    "text": ["1969-12-28T23:59:59", None],
    "text with a blank": ["1969-12-28 23:59", ""],
    "text of UTC": ["1969-12-28T23:59:59Z", None],
    "text with an offset": ["1969-12-29T01:59:59.999999999+02:00", None],
}


@pytest.mark.parametrize("values", FORMS.values(), ids=FORMS)
def test_every_form_of_a_time_has_its_parts(values):
    rows = {"time": values}
    assert encoded(HOUR, rows) == [24, 0]
    assert encoded(DAY, rows) == SUNDAY
    (tensor,) = RawColumns(fit([HOUR], rows))(rows).values()
    assert tensor.dtype == np.int64
    assert tensor[0] // 60_000_000 == -(4 * 24 * 60) + 24 * 60 - 1  # minutes since 1970
    assert tensor[1] == -(2**63)


@pytest.mark.parametrize(
    "values",
    [
        [datetime.date(1969, 12, 28), None],
        np.array(["1969-12-28", "NaT"], "datetime64[D]"),
        pa.array([datetime.date(1969, 12, 28), None], pa.date64()),
        ["1969-12-28", None],
    ],
    ids=["date", "datetime64", "date64", "text"],
)
def test_a_date_has_a_weekday_and_no_hour(values):
    assert encoded(DAY, {"time": values}) == SUNDAY
    with pytest.raises(ValueError, match=r"'time'.*(a date has no hour|no time of day)"):
        fit([HOUR], {"time": values})


MINUTE_BEFORE = -60 - 3 * 86_400  # Sunday, 23:59


@pytest.mark.parametrize(
    ("unit", "values"),
    [
        ("s", [MINUTE_BEFORE, None]),
        ("s", [float(MINUTE_BEFORE), float("nan")]),
        ("s", [str(MINUTE_BEFORE), None]),
        ("s", [decimal.Decimal(MINUTE_BEFORE), None]),
        ("s", np.array([MINUTE_BEFORE, MINUTE_BEFORE], np.int32)),
        ("ms", [MINUTE_BEFORE * 1_000, None]),
        ("us", pa.array([MINUTE_BEFORE * 10**6, None])),
        ("s", FORMS["aware"]),  # a unit says how integers are read, if there are any
    ],
)
def test_integers_are_times_if_the_unit_is_declared(unit, values):
    day = Categorical("day", column=TimePart("time", "weekday", unit=unit))
    assert encoded(day, {"time": values})[0] == 7
    rows = {"time": values, "created": [v + 60 if isinstance(v, int) else v for v in values]}
    (fitted,) = fit([day], rows)
    assert fitted.column.zoned


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1_700_000_000], "'time' of feature 'hour'.*integers with a `unit`. Received: int64"),
        (["1700000000"], "Received: '1700000000' in row 0.*`unit`"),
        ([1.5], "integers with a `unit`. Received: double"),
        ([True], "Received: bool"),
        ([datetime.time(1)], "Received: time64"),
        ([timedelta(1)], "Received: duration"),
        ([None, "noon"], "'time' must contain times in ISO 8601.*Received: 'noon' in row 1"),
        (["2026-02-29T00:00"], "day is out of range for month"),
        (["2026-01-31x12:00"], "'2026-01-31x12:00' in row 0"),
        (["2026-12-31T23:59:60Z"], "second must be in 0..59"),
        (["9999-12-31T23:59:59-02:00"], "row 0 .*not in the years 1 to 9999 of UTC"),
        (["0001-01-01T00:00:00+02:00"], "row 0 .*not in the years 1 to 9999 of UTC"),
        (["2026-01-31T12:00", "2026-01-31T12:00Z"], "all have a time zone or all have none"),
        (pa.array([2**62], pa.timestamp("s")), "years 1 to 9999.*seconds since 1970 in row 0"),
        (pa.array([-(2**31)], pa.date32()), "'time'"),
        ([CLOCK, CLOCK.replace(tzinfo=UTC)], "without a time zone and datetime with a time zone"),
        ([None, None], "has no time to learn from: 'time' must not be null"),
    ],
    ids=str,
)
def test_what_is_no_time_is_refused_by_name(values, message):
    with pytest.raises(ValueError, match=message):
        fit([HOUR], {"time": values})


@pytest.mark.parametrize(
    ("unit", "values", "message"),
    [
        ("s", [0.5], "'time' in .* must contain times as whole numbers.*Received: 0.5"),
        ("s", np.array([1_700_000_000], "float32"), "below 2\\^24.*Received: 1700000000.0 .float"),
        ("s", [1_700_000_000_000], "years 1 to 9999.*1700000000000 seconds since 1970"),
        ("ms", ["1700000000000000"], "'1700000000000000' in row 0.*years 1 to 9999"),
        ("s", pa.array([2**63], pa.uint64()), "'time' in .* below 2\\^63"),
    ],
    ids=str,
)
def test_integers_that_are_no_times_are_refused(unit, values, message):
    feature = Categorical("hour", column=TimePart("time", "hour", unit=unit))
    with pytest.raises(ValueError, match=message):
        fit([feature], {"time": values})


@pytest.mark.parametrize("learnt", [FORMS["text"], FORMS["text of UTC"]], ids=["clock", "UTC"])
def test_times_with_and_without_a_zone_are_not_mixed_up(learnt):
    (hour,) = fit([HOUR], {"time": learnt})
    other = FORMS["aware" if learnt is FORMS["text"] else "datetimes"]
    for convert in (Preprocessor([hour]), RawColumns([hour])):
        with pytest.raises(
            ValueError, match=r"'time' of feature 'hour' must contain times with.*learnt"
        ):
            convert({"time": other})
        for nothing in (
            [None, None],
            pa.nulls(1, pa.timestamp("s")),
            pa.nulls(1, stamps("s", "UTC").type),
        ):
            convert({"time": nothing})
        convert({"time": learnt})
    with pytest.raises(ValueError, match=r"like those of 'time'|like those of 'created'"):
        fit([AGE], {"time": learnt, "created": other})


def test_files_with_and_without_a_zone_are_refused_by_fit(tmp_path):
    for name, values in (("a", FORMS["datetimes"]), ("b", FORMS["aware"])):
        pq.write_table(pa.table({"time": pa.array(values)}), tmp_path / f"{name}.parquet")
    with pytest.raises(
        ValueError, match=r"without a time zone.*Received.*with a time zone in .*b.parquet"
    ):
        fit([HOUR], tmp_path)


def test_an_unfitted_part_is_refused_and_a_declared_zone_is_enough():
    with pytest.raises(ValueError, match="'hour' is not fitted"):
        Preprocessor([HOUR])
    hour = Categorical("hour", column=TimePart("time", "hour", zoned=True))
    assert Preprocessor([hour])({"time": FORMS["aware"]})["hour"].tolist() == [24, 0]
    with pytest.raises(ValueError, match="with a time zone"):
        fit([hour], {"time": FORMS["datetimes"]})


def test_ages_are_exact_before_they_become_floating_point():
    """A float32 holds seconds of today to 128, a float64 microseconds of the year 1 to 8."""
    at, created = datetime.datetime(9999, 1, 1, 0, 0, 3, 7), datetime.datetime(9999, 1, 1)
    rows = {"time": [at, created, at, None], "created": [created, at, None, at]}
    assert encoded(AGE, rows) == [np.float32(3.000007), -np.float32(3.000007), -1, -1]
    raw = RawColumns(fit([AGE], rows))
    assert raw.names["age"] == {"value": "created.us", "at": "time.us"}
    assert raw(rows)["time.us"][0] - raw(rows)["created.us"][0] == 3_000_007


def test_an_age_learns_the_moments_of_its_transform():
    rows = {"created": [CLOCK] * 2, "time": [CLOCK, CLOCK + timedelta(seconds=np.e**2 - 1)]}
    (age,) = fit([Numeric("age", column=Age("created", at="time"), transform="log")], rows)
    assert age.mean == pytest.approx(1, abs=1e-6)
    assert age.observed == {"rows": 2, "nulls": 0, "out_of_vocabulary": 0}
    with pytest.raises(ValueError, match=r"'age' must not contain null.*column 'created'.*row 1"):
        Preprocessor([age])({"created": [CLOCK, None], "time": [CLOCK, CLOCK]})


def test_csv_parquet_and_rows_of_text_encode_alike(tmp_path):
    texts = ["2026-01-05 07:00:00", None, "2026-01-05T08:30:00.25"]
    rows = {"time": texts, "created": ["2026-01-04", "2026-01-04", ""], "n": [1, 2, 3]}
    features = fit([HOUR, DAY, AGE, Numeric("n")], rows)
    (tmp_path / "log.csv").write_text(
        "time,created,n\n2026-01-05 07:00:00,2026-01-04,1\n,2026-01-04,2\n2026-01-05T08:30:00.25,,3\n"
    )
    times = pa.array([datetime.datetime.fromisoformat(t) if t else None for t in texts])
    dates = pa.array([datetime.date(2026, 1, 4)] * 2 + [None])
    pq.write_table(
        pa.table({"time": times, "created": dates, "n": [1, 2, 3]}), tmp_path / "log.parquet"
    )
    expected = {"hour": [8, 0, 9], "day": [1, 0, 1], "age": [31 * 3600, -1, -1]}
    for log in (rows, tmp_path / "log.csv", tmp_path / "log.parquet"):
        assert fit(features, log)[0].observed["nulls"] == 1
        made = Preprocessor(features)(log)
        assert {name: made[name].tolist() for name in expected} == expected


def test_integers_in_csv_are_times_of_the_declared_unit(tmp_path):
    (tmp_path / "log.csv").write_text("time,n\n-60,1\n,1\n3600.0,1\n")
    hour = Categorical("hour", column=TimePart("time", "hour", unit="s"))
    assert encoded(hour, tmp_path / "log.csv") == [24, 0, 2]


def test_declarations_with_times_are_saved_and_differ():
    features = fit([HOUR, AGE], {"time": FORMS["aware"], "created": FORMS["aware"]})
    assert from_json(to_json(features)) == features
    assert features[0].num_rows == 25
    hashes = {
        schema_hash([dataclasses.replace(features[0], column=column)])
        for column in ("time", features[0].column, TimePart("time", "hour", zoned=False))
    }
    assert len(hashes) == 3
    config = json.loads(to_json(features))[0]
    config["column"]["kind"] = "Sundial"
    with pytest.raises(ValueError, match="another version"):
        kr.features.internal.from_config(config)
    assert "TimePart('time', 'hour', zoned=True)" in repr(features[0])


@pytest.mark.parametrize(
    ("declare", "message"),
    [
        (lambda: TimePart("time", "century"), "`part` must be one of"),
        (lambda: TimePart("time", "hour", unit="h"), "`unit` must be one of"),
        (lambda: TimePart("", "hour"), "`column` of TimePart must be the name of a column"),
        (lambda: TimePart("time", "hour", zoned="UTC"), "`zoned` of TimePart"),
        (lambda: Age("time", at="time"), "different columns"),
        (lambda: Age("time", at=None), "`at` of Age must be"),
        (lambda: Categorical("c", column=Age("a", at="b")), "the name of a column or TimePart"),
        (lambda: Embedding("c", dim=2, column=TimePart("a", "hour")), "the name of a column. Rec"),
        (lambda: Sequence("c", of="d", max_length=2, column=5), "the name of a column. Received"),
        (lambda: dataclasses.replace(HOUR, hash_buckets=9, vocabulary=None), "no 'hash_buckets'"),
        (lambda: dataclasses.replace(HOUR, max_length=2), "no 'max_length'"),
        (lambda: dataclasses.replace(HOUR, vocabulary=("7",)), "0 to 23. Received: '7'"),
        (lambda: dataclasses.replace(HOUR, vocabulary=(24, 7)), "0 to 23. Received: 24"),
        (lambda: dataclasses.replace(HOUR, dtype="string", vocabulary=None), "no 'dtype'"),
    ],
)
def test_declarations_that_make_no_sense_are_refused(declare, message):
    with pytest.raises(ValueError, match=message):
        declare()


@pytest.mark.parametrize("feature", [Categorical("u"), Numeric("u")])
def test_a_column_of_times_names_the_way_out(feature):
    with pytest.raises(ValueError, match=r"TimePart\('u', 'weekday'\)"):
        fit([feature], {"u": FORMS["datetimes"]})


EVENTS = [
    Categorical("item", vocabulary=(1, 2)),
    Sequence("seen", of="item", max_length=2, time="t", request_time="now"),
]


def ages(times, now):
    """Returns the ages of two events, the newest first, of which both transforms agree."""
    log = {"item": [1], "seen": [[1, 2]], "t": times, "now": now}
    raw, made = RawColumns(EVENTS)(log), Preprocessor(EVENTS)(log)["seen.age"][0].tolist()
    assert np.nan_to_num(raw["now"] - raw["t"])[0, ::-1].tolist() == made  # an unknown time is now
    return made


def test_events_have_ages_whatever_form_their_times_have():
    later = CLOCK + timedelta(seconds=90)
    assert ages([[CLOCK, later]], [later]) == [0, 90]
    assert ages([["1969-12-28T23:59:00Z", ""]], ["1969-12-29T01:00:30+01:00"]) == [0, 90]
    assert ages([["1969-12-28", "1969-12-29"]], [datetime.date(1969, 12, 29)]) == [0, 86_400]
    assert ages([["-180", "-90"]], [-90.0]) == [0, 90]


@pytest.mark.parametrize(
    ("times", "now"),
    [
        ([[CLOCK, CLOCK]], [CLOCK.replace(tzinfo=UTC)]),
        ([["1969-12-28T23:59Z", None]], ["1969-12-29"]),
        ([[-5, None]], [CLOCK]),
    ],
    ids=["timestamps", "text", "numbers"],
)
def test_events_and_requests_with_and_without_a_zone_have_no_age(times, now):
    for convert in (Preprocessor(EVENTS), RawColumns(EVENTS)):
        with pytest.raises(
            ValueError, match=r"'t' and 'now' of sequence 'seen' must both.*Received: 't' "
        ):
            convert({"item": [1], "seen": [[1, 2]], "t": times, "now": now})


def test_a_column_that_is_called_like_a_tensor_of_times_has_one_of_its_own():
    features = [
        Categorical("hour", column=TimePart("time", "hour", zoned=True)),
        Categorical("time.us", hash_buckets=9, dtype="int64"),
        Numeric("age", column=Age("time", at="time.us", unit="ms", zoned=True), transform="none"),
    ]
    rows = {"time": [CLOCK.replace(tzinfo=UTC)], "time.us": [5]}
    raw = RawColumns(features)
    names = [raw.names["hour"]["value"], raw.names["time.us"]["value"], raw.names["age"]["at"]]
    values = [(CLOCK - datetime.datetime(1970, 1, 1)) // timedelta(microseconds=1), 5, 5_000]
    assert [raw(rows)[name].tolist() for name in names] == [[value] for value in values]


@pytest.mark.filterwarnings("ignore:Features read")
@pytest.mark.parametrize(
    "rule", ["bought >= time", "time < '2026-01-05 08:30:00' or bought is null"]
)
def test_a_rule_on_the_same_column_of_a_csv_file_reads_times_too(tmp_path, rule):
    rows = "time,bought\n2026-01-05 07:00:00,2026-01-05 08:00:00\n2026-01-05 23:00:00,2026-01-05 22:00:00\n"
    (tmp_path / "log.csv").write_text(rows)
    (hour,) = fit([HOUR], tmp_path)
    model = types.SimpleNamespace(features=[hour], tasks=[kr.Task("buy", when=rule)])
    [(x, y, _)] = kr.data.read(tmp_path, model)
    assert x["hour"].tolist() == [8, 24]
    assert y["buy"].tolist() == [1, 0]
