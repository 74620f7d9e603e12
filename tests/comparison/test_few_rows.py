"""A comparison on rows so few that figures are undefined: said, and never a traceback."""

import keras
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import kranking as kr
from kranking.comparison import compare
from kranking.training import Protocol

pytestmark = [pytest.mark.once, pytest.mark.usefixtures("eager_training")]
VARIANTS = {"a": ("mlp", {"units": (4,)}), "b": ("mlp", {"units": (3,)})}
MIXED = [0, 1, 1, 0, 0, 1, 0, 1, 1, 0, 0, 1]


@pytest.fixture
def run(tmp_path):
    def call(train=MIXED, valid=MIXED, test=MIXED, sessions=3, **options):
        for part, labels in (("train", train), ("valid", valid), ("test", test)):
            columns = {"x": np.linspace(-1, 1, len(labels)), "save": labels}
            columns["session"] = np.arange(len(labels)) % sessions
            pq.write_table(pa.table(columns), tmp_path / f"{part}.parquet")
        files = [tmp_path / f"{part}.parquet" for part in ("train", "valid", "test")]
        features = [kr.features.Numeric("x", mean=0.0, std=1.0)]
        log = kr.data.LogFiles(*files, features, [kr.Task("save")], "session")
        protocol = Protocol(lambda: keras.optimizers.Adam(0.1), epochs=options.pop("epochs", 1))
        given = {"protocol": protocol, "seeds": 1, "latency_batch": None, "verbose": 0, **options}
        return compare(VARIANTS, log, "a", out=tmp_path / "out", **given)

    return call


@pytest.mark.parametrize(
    "rows",
    [
        {"train": [1]},  # fewer than a batch: no step is timed
        {"valid": [1]},
        {"test": [1]},
        {"test": [0] * 12},
        {"test": [1] * 12},
        {"train": [0] * 12, "valid": [0] * 12, "test": [0] * 12},
        {"sessions": 1},
    ],
    ids=lambda rows: "-".join(f"{name}-{value}" for name, value in rows.items()),
)
def test_finishes(run, tmp_path, rows):
    report = run(**rows)
    assert [row.failures for row in report.rows] == [[], []]
    assert np.isnan(report["a"].samples_per_second)
    assert (tmp_path / "out" / "report.html").exists()


def test_validation_rows_of_one_class_do_not_choose_an_epoch(run):
    report = run(valid=[0, 0, 0], epochs=2)
    (failure,) = report["a"].failures
    assert failure.startswith(
        "ValueError: val_save_auc must be finite to select the best of 2 epochs"
    )
    assert run(epochs=2, valid=[0, 0, 0])["b"].trained == 0
