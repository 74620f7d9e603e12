"""Comparisons, searches and records of a log take it in every form, and identify it by its contents."""

import gzip
import json

import keras
import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

import kranking as kr
from kranking._rows import file_contents

pytestmark = [pytest.mark.once, pytest.mark.usefixtures("eager_training")]
ROWS = 24
TABLE = pa.table(
    {
        "x": np.random.default_rng(0).normal(size=ROWS),
        "c": ["a", "b", "c"] * (ROWS // 3),
        "save": [0, 1, 1, 0] * (ROWS // 4),
        "session": np.arange(ROWS) // 6,
    }
)
FEATURES = [
    kr.features.Numeric("x", mean=0.0, std=1.0),
    kr.features.Categorical("c", vocabulary=("a", "b"), embedding_dim=4),
]


def log_of(*parts):
    return kr.data.LogFiles(*parts, FEATURES, [kr.Task("save")], "session")


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    """The same log as Parquet, and as compressed CSV, rows in memory, and folders that state sessions."""
    folder = tmp_path_factory.mktemp("log")
    pq.write_table(TABLE, folder / "0.parquet")
    with gzip.open(folder / "0.csv.gz", "wb") as file:
        pacsv.write_csv(TABLE, file)
    keys = ds.partitioning(pa.schema([("session", pa.int64())]), flavor="hive")
    ds.write_dataset(TABLE, folder / "hive", format="csv", partitioning=keys)
    plain = log_of(*[folder / "0.parquet"] * 3)
    generator = (row for row in TABLE.to_pylist())
    return plain, log_of(folder / "0.csv.gz", generator, folder / "hive"), folder


def test_a_comparison_of_every_kind_of_rows(logs, tmp_path):
    plain, other, _ = logs
    protocol = kr.training.Protocol(lambda: keras.optimizers.Adam(0.1), batch_size=8, epochs=2)
    options = {"protocol": protocol, "seeds": 1, "latency_batch": None, "verbose": 0}
    variants = {"a": ("mlp", {"units": (4,)})}
    found = [
        kr.comparison.compare(variants, log, "a", out=tmp_path / name, **options).trials["a"][0]
        for name, log in (("plain", plain), ("other", other))
    ]
    assert [row.get("failed") for row in found] == [None, None]
    assert found[1]["figures"] == pytest.approx(found[0]["figures"], abs=1e-6)
    assert found[1]["hit"] == found[0]["hit"]
    assert found[1]["history"]["loss"] == pytest.approx(found[0]["history"]["loss"], abs=1e-6)


def test_a_search_of_every_kind_of_rows(logs):
    pytest.importorskip("keras_tuner")
    from kranking.search._objective import Objective
    from kranking.search._training import fit_best

    def trained(log):
        keras.utils.set_random_seed(0)
        model = kr.RankingModel(FEATURES, [kr.layers.MLP([4])], log.tasks)
        model.compile(keras.optimizers.Adam(0.1), weighted_metrics=None)
        objective = Objective.of("save_auc", log.tasks, kr.metrics.HitAtK())
        training = kr.search.Training(epochs=1, verbose=0)
        return fit_best(model, log, training, objective, batch_size=8, seed=0)

    plain, other = (trained(log) for log in logs[:2])
    assert min(plain.pop("seconds"), other.pop("seconds")) > 0
    assert other == pytest.approx(plain, abs=1e-6)


def test_recurring_training_takes_rows_in_memory(tmp_path):
    make = lambda: kr.RankingModel(FEATURES, [kr.layers.MLP([2])], [kr.Task("save")])  # noqa: E731
    periods = {"one": TABLE, "two": (row for row in TABLE.to_pylist())}
    report = kr.comparison.recurring_training(make, periods, "session", out=tmp_path, verbose=0)
    assert [period.name for period in report.periods] == ["two"]


@pytest.mark.parametrize("part", ["train", "valid", "test"])
def test_identity_is_that_of_the_contents(logs, part):
    _, log, folder = logs
    before = log.to_json()
    assert json.loads(json.dumps(before)) == before == log.to_json()
    assert [file["keys"] for file in before["files"]["test"]] == [{"session": i} for i in range(4)]
    other = {
        "train": lambda: (folder / "0.csv.gz").write_bytes(
            gzip.compress(b"x,c,save,session\n1,a,1,0\n")
        ),
        "valid": lambda: log.valid[0].update(save=1 - log.valid[0]["save"]),
        "test": lambda: (folder / "hive" / "session=3").rename(folder / "hive" / "session=9"),
    }
    other[part]()
    changed = log.to_json()
    assert [
        name for name in before["files"] if before["files"][name] != changed["files"][name]
    ] == [part]


def test_identity_of_rows_in_memory_has_names_and_types():
    values = np.arange(4, dtype=np.int64)
    same = [{"a": values, "b": values + 1}, pa.table({"a": values, "b": values + 1})]
    others = [
        {"a": values, "b": values},
        {"b": values, "a": values + 1},
        {"a": values.view(np.uint64), "b": values + 1},
    ]
    hashes = [file_contents(rows)[0]["sha256"] for rows in same + others]
    assert hashes[0] == hashes[1]
    assert len(set(hashes)) == 4
    dataset = [file_contents(ds.dataset(table))[0]["sha256"] for table in (TABLE, TABLE.slice(1))]
    assert dataset[0] != dataset[1]


def test_a_record_of_a_reader_of_folders(logs, tmp_path):
    model = kr.RankingModel(FEATURES, [kr.layers.MLP([2])], [kr.Task("save")])
    model.compile("adam", weighted_metrics=None)
    rows = kr.data.read(log_folder := logs[2] / "hive", model, 8)
    record = kr.training.RunRecord(tmp_path / "run.json", rows)
    model.fit(rows, verbose=0, callbacks=[record])
    written = json.loads((tmp_path / "run.json").read_text())["data"]["files"]
    assert [file["keys"]["session"] for file in written] == sorted(
        int(path.name.split("=")[1]) for path in log_folder.iterdir()
    )
