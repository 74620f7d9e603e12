"""Proposals from a log: what a person would have written down."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kranking.features import Categorical, Embedding, Numeric, Sequence, TimePart, fit, infer


@pytest.fixture
def log(tmp_path):
    random = np.random.default_rng(0)
    rows = 500
    pins = random.integers(0, 100, rows)
    columns = {
        "user_id": random.integers(0, 10_000, rows),
        "pin_id": pins,
        "country": random.choice(["DE", "FR"], rows),
        "premium": random.random(rows) < 0.5,
        "hour": random.integers(0, 24, rows),
        "score": random.normal(size=rows),
        "price": np.exp(random.normal(0, 2, rows)),
        "cover": list(random.normal(size=(rows, 4)).astype("float32")),
        "engaged": [random.integers(0, 100, 5).tolist() for _ in range(rows)],
        "words": [["a", "b"][: i % 3] for i in range(rows)],
        "constant": np.ones(rows),
        "rare": pa.array([None, *random.normal(size=rows - 1)]),
        "time_ms": 1_650_000_000_000 + random.integers(0, 10**9, rows),
        "time_spent": random.integers(0, 10_000, rows),
        "city": random.integers(0, 400, rows),
        "is_click": random.integers(0, 2, rows),
    }
    file = tmp_path / "log.parquet"
    pq.write_table(pa.table(columns), file)
    return file


def test_proposes_what_a_person_would(log):
    proposed = {f.name: f for f in infer(log, exclude=["is_click"], sides={"pin_id": "item"})}
    assert proposed["user_id"] == Categorical("user_id", side="user")
    assert proposed["pin_id"] == Categorical("pin_id", side="item")
    assert proposed["country"] == Categorical("country")
    assert proposed["premium"] == Categorical("premium")
    assert proposed["hour"] == Categorical("hour")
    assert proposed["score"] == Numeric("score")
    assert proposed["price"] == Numeric("price", transform="log")
    assert proposed["rare"] == Numeric("rare", nulls="mean")
    assert proposed["cover"] == Embedding("cover", dim=4)
    assert proposed["engaged"] == Sequence("engaged", of="pin_id", max_length=5)
    assert proposed["words"] == Categorical("words", max_length=2)
    assert proposed["city"] == Categorical("city")
    assert isinstance(proposed["time_spent"], Numeric)
    assert "time_ms" not in proposed  # a moment, which later rows would all exceed
    assert "constant" not in proposed
    assert "is_click" not in proposed


def test_proposals_can_be_fitted(log):
    assert all(f.fitted for f in fit(infer(log), log))


def test_up_to_32_integers_are_categories(tmp_path):
    rows = np.arange(330)
    pq.write_table(pa.table({"few": rows % 32, "many": rows % 33}), tmp_path / "log.parquet")
    few, many = infer(tmp_path)
    assert few == Categorical("few")
    assert isinstance(many, Numeric)


def test_unknown_column_is_named(log):
    with pytest.raises(
        ValueError, match=r"must contain columns of the log, .*Received: \['clicks'\]"
    ):
        infer(log, exclude=["clicks"])


def test_log_without_rows_is_refused(tmp_path):
    pq.write_table(pa.table({"a": pa.array([], pa.int64())}), tmp_path / "empty.parquet")
    with pytest.raises(ValueError, match="`rows` must not be empty"):
        infer(tmp_path)


def test_times_become_the_parts_of_them_that_vary():
    hours = np.datetime64("2026-01-05T00:00:00") + np.arange(48).astype("timedelta64[h]")
    epoch = hours.astype(np.int64)
    log = {
        "time": hours,
        "item_made_on": hours.astype("datetime64[D]"),
        "text": [str(h) + "Z" for h in hours],
        "ts": epoch * 1_000,
        "bought": hours[:24].tolist() * 2,  # a single day
        "bought_hour": np.arange(48) % 5,
        "once": hours[:1].tolist() * 48,
        "date": [20260105, 20260106] * 24,
        "late": [str(h) for h in hours[:47]] + ["later"],
        "length": pa.array(np.arange(48), pa.duration("s")),
    }
    draft = infer(log)
    assert {f.name: f.column for f in draft if f.times} == {
        "time_hour": TimePart("time", "hour"),
        "time_weekday": TimePart("time", "weekday"),
        "item_made_on_weekday": TimePart("item_made_on", "weekday"),
        "text_hour": TimePart("text", "hour"),
        "text_weekday": TimePart("text", "weekday"),
        "ts_hour": TimePart("ts", "hour", unit="ms"),
        "ts_weekday": TimePart("ts", "weekday", unit="ms"),
        "bought_hour_": TimePart("bought", "hour"),
    }
    assert {f.name for f in draft if not f.times} == {"bought_hour", "late"}
    assert draft.skipped == {
        "once": "times (timestamp[us]) of one hour and weekday",
        "date": "a date written as a number, which later rows exceed",
        "length": "there is no feature of type duration[s]",
    }
    assert {f.side for f in draft if f.name.startswith("item")} == {"item"}
    assert all(f.fitted for f in fit(draft, log))
