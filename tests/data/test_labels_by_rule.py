"""Labels by rule are the same from every kind of rows, and are refused by name alike."""

import datetime
import types
import warnings

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.dataset as pads
import pyarrow.parquet as pq
import pytest

import kranking as kr
from kranking._identity import changed

pytestmark = pytest.mark.once
DAY = datetime.datetime(2026, 1, 1)
LOG = pa.table(
    {
        "age": [20.0, 31.0, 40.0, 55.0, 60.0, 18.0],
        "rating": pa.array([4, 3, None, 5, 1, 4], pa.int8()),
        "watched": [2.4, 8.0, 3.9, 0.0, 55.0, None],
        "length": [3.0, 10.0, 5.0, 5.0, 100.0, 7.0],
        "event": pa.array(["like", "hide", "share", "skip", "like", "view"]).dictionary_encode(),
        "shown": [DAY + datetime.timedelta(days=i) for i in range(6)],
        "clicked": [None, True, False, True, None, True],
        "session": [1, 1, 1, 2, 2, 2],
    }
)
TASKS = {
    "good": ("rating >= 4", [1, 0, None, 1, 0, 1]),
    "whole": ("watched >= 0.8 * length", [1, 1, 0, 0, 0, None]),
    "action": ("event in ('like', 'share')", [1, 0, 1, 0, 1, 0]),
    "late": ("shown >= '2026-01-04'", [0, 0, 0, 1, 1, 1]),
    "click": ("clicked", [None, 1, 0, 1, None, 1]),
    "any": ("clicked is not null or rating == 1", [0, 1, 1, 1, 1, 1]),
}
AGE = kr.features.Numeric("age", mean=0.0, std=1.0)


def model(*tasks, features=(AGE,)):
    return types.SimpleNamespace(features=list(features), tasks=list(tasks))


ALL = model(*(kr.Task(name, when=rule, nulls="mask") for name, (rule, _) in TASKS.items()))


def parquet(folder):
    half = LOG.slice(3)
    narrow = half.set_column(
        1, "rating", half["rating"].cast(pa.float64())
    )  # another type per file
    pq.write_table(LOG.slice(0, 3), folder / "a.parquet")
    pq.write_table(narrow, folder / "b.parquet")
    return folder


def csv(folder):
    pyarrow.csv.write_csv(LOG.set_column(4, "event", LOG["event"].cast("string")), folder / "a.csv")
    return folder / "a.csv"


def partitioned(folder):
    for event in ("like", "hide", "share", "view"):
        part = LOG.filter(pa.array(LOG["event"].to_numpy(zero_copy_only=False) == event))
        (folder / f"event={event}").mkdir()
        pq.write_table(part.drop_columns(["event"]), folder / f"event={event}" / "a.parquet")
    return folder


KINDS = {
    "parquet": parquet,
    "csv": csv,
    "table": lambda _: LOG,
    "dicts": lambda _: LOG.to_pylist(),
    "dataset": lambda folder: pads.dataset(parquet(folder)),
}


@pytest.mark.parametrize("kind", [*KINDS, pytest.param("pandas", marks=pytest.mark.extra)])
def test_every_kind_of_rows_has_the_same_labels(tmp_path, kind):
    if kind == "pandas":
        pytest.importorskip("pandas")
    rows = LOG.to_pandas() if kind == "pandas" else KINDS[kind](tmp_path)
    reader = kr.data.read(rows, ALL, batch_size=6)
    ((_, y, weight),) = list(reader)
    for name, (_, expected) in TASKS.items():
        observed = [label is not None for label in expected]
        assert weight[name].tolist() == observed, name
        assert y[name].tolist() == [label or 0 for label in expected], name
        positive = sum(label or 0 for label in expected)
        assert reader.label_counts[name].tolist() == [positive, sum(observed) - positive]


def test_a_rule_reads_the_column_that_folders_state(tmp_path):
    reader = kr.data.read_parquet(
        partitioned(tmp_path), model(kr.Task("like", when="event == 'like'")), 9
    )
    ((x, y, _),) = list(reader)
    assert dict(zip(x["age"].tolist(), y["like"].tolist())) == {31: 0, 20: 1, 60: 1, 40: 0, 18: 0}


def test_labels_by_rule_survive_a_split(tmp_path):
    kr.data.split_by_time(LOG, "shown", tmp_path / "parts", shares={"train": 0.5, "test": 0.5})
    labels = [
        y["action"].tolist()
        for part in ("train", "test")
        for _, y, _ in kr.data.read_parquet(tmp_path / "parts" / part, ALL)
    ]
    assert labels == [[1, 0, 1], [0, 1, 0]]


def test_only_the_columns_of_features_and_rules_are_read():
    class Column:
        def __array__(self, *_, **__):
            raise AssertionError("read")

    rows = {"age": [1.0, 2.0], "rating": [4, 3], "other": Column(), "event": Column()}
    task = kr.Task("good", when="rating >= 4")
    ((_, y, _),) = list(kr.data.read(rows, model(task)))
    assert y["good"].tolist() == [1, 0]


def test_columns_of_csv_files_have_the_types_that_the_rule_compares(tmp_path):
    first = ["1,7,,0", *["1,7,,1"] * 300_000]  # more than a block, from which types are inferred
    path = tmp_path / "a.csv"
    path.write_text("\n".join(["age,rating,event,flag", *first, "1,7.5,like,1"]) + "\n")
    rules = {"high": "rating > 7.2", "like": "event == 'like'", "flag": "flag == true"}
    tasks = [kr.Task(f"{n}_", when=rule, nulls="mask") for n, rule in rules.items()]
    tasks.append(kr.Task("seen", when="event is not null"))
    ((_, y, _),) = list(kr.data.read_csv(path, model(*tasks), batch_size=400_000))
    assert {name: labels[[0, 1, -1]].tolist() for name, labels in y.items()} == {
        "high_": [0, 0, 1],
        "like_": [0, 0, 1],
        "flag_": [0, 1, 1],
        "seen": [0, 0, 1],
    }


def test_a_null_is_refused_with_rule_row_and_values(tmp_path):
    task = kr.Task("whole", when="watched >= 0.8 * length")
    message = (
        r"null by the rule 'watched >= 0.8 \* length' for watched=None, length=7.0, row 2 of .*b.pa"
    )
    with pytest.raises(ValueError, match=message):
        kr.data.read_parquet(parquet(tmp_path), model(task))


REFUSED = {
    "no column": ("score > 1", r"Task 'x' needs column 'score', which .*a.parquet does not have"),
    "text": ("event >= 4", r"column 'event' with numbers.*dictionary|string in .*a.parquet"),
    "number": ("rating == 'x'", r"'rating' with texts. Expected: texts. Received: int8 in .*a.parquet"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_columns_that_do_not_fit_are_refused_before_the_first_step(tmp_path, case):
    rule, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        kr.data.read_parquet(parquet(tmp_path), model(kr.Task("x", when=rule, nulls="mask")))


def test_features_do_not_state_the_label():
    length = kr.features.Numeric("length", mean=0.0, std=1.0)
    watched = kr.features.Numeric("watched", mean=0.0, std=1.0, nulls="mean")
    task = kr.Task("whole", when="watched >= 0.8 * length", nulls="mask")
    with pytest.raises(
        ValueError, match=r"\['watched', 'length'\] state the label of task 'whole'"
    ):
        kr.data.read(LOG, model(task, features=[length, watched]))
    with pytest.warns(
        UserWarning, match=r"Features read \['watched'\], which the rule 'watched >= 0"
    ):
        kr.data.read(LOG, model(task, features=[watched]))
    with warnings.catch_warnings():  # scoring reads no labels
        warnings.simplefilter("error")
        kr.data.read(LOG, model(task, features=[length, watched]), labels=False)


def test_another_rule_is_another_log(tmp_path):
    parquet(tmp_path)

    def log(rule):
        tasks = [kr.Task("good", when=rule)]
        return kr.data.LogFiles(tmp_path, tmp_path, tmp_path, [AGE], tasks, "session").to_json()

    assert log("rating >= 4") == log("rating >= 4")
    assert "rating >= 4" in str(changed(log("rating >= 4"), log("rating >= 5")))


def test_declarations_survive_json():
    tasks = [kr.Task("good", when="rating >= 4", nulls="mask"), kr.Task("save")]
    text = kr.features.to_json(tasks)
    assert kr.features.from_json(text) == tasks
    assert kr.features.schema_hash(tasks[:1]) != kr.features.schema_hash([kr.Task("good")])
    with pytest.raises(ValueError, match="at character 8"):
        kr.features.from_json(text.replace(">= 4", "=> 4"))


def test_sample_weights_multiply_what_a_rule_masks():
    log = LOG.append_column("w", pa.array(np.arange(6.0)))
    reader = kr.data.read(
        log, model(kr.Task("good", when="rating > 3", nulls="mask")), sample_weight="w"
    )
    ((_, _, weight),) = list(reader)
    assert weight["good"].tolist() == [0, 1, 0, 3, 4, 5]


def test_a_column_of_times_states_hours_and_labels(tmp_path):
    hour = kr.features.Categorical("hour", column=kr.features.TimePart("shown", "hour"))
    task = kr.Task("late", when="shown >= '2026-01-04'")
    for rows in (LOG, csv(tmp_path)):
        (hour_,) = kr.features.fit([hour], rows)
        other = kr.Task("late", when="shown >= '2026-01-04' and rating is not null")
        with pytest.warns(UserWarning, match="Features read"):
            ((_, y, _),) = list(kr.data.read(rows, model(other, features=[hour_])))
        assert y["late"].tolist() == [0, 0, 0, 1, 1, 1]
        with pytest.raises(ValueError, match="state the label of task 'late'"):
            kr.data.read(rows, model(task, features=[hour_]))
