import hashlib
import json

import keras
import numpy as np
import pytest

import kranking as kr
from kranking.training import RunRecord

pytestmark = pytest.mark.usefixtures("eager_training")


def network(units=4):
    model = kr.RankingModel(
        [kr.features.Numeric("age", mean=0.0, std=1.0)], [kr.layers.MLP([units])], [kr.Task("save")]
    )
    model.compile(keras.optimizers.Adam(0.01))
    return model


def data():
    random = np.random.default_rng(0)
    return {"age": random.normal(size=32).astype("float32")}, {
        "save": random.integers(0, 2, 32).astype("float32")
    }


def read(path):
    return json.loads(path.read_text())


def test_record(tmp_path):
    path, model = tmp_path / "new" / "run.json", network()
    record = RunRecord(path, seed=3, costs={"parameters": 9}, notes={"why": "a test"})
    history = model.fit(*data(), epochs=3, verbose=0, callbacks=[record]).history
    written = read(path)
    assert written == record.record
    assert written["finished"] is True
    assert (written["seed"], written["backend"]) == (3, keras.backend.backend())
    assert written["versions"]["keras"] == keras.__version__
    assert written["model"]["schema_hash"] == kr.features.schema_hash(model.features)
    assert written["model"]["parameters"] == model.count_params()
    assert written["model"]["blocks"] == ["MLP"]
    assert written["optimizer"]["class_name"] == "Adam"
    assert written["costs"] == {"parameters": 9}
    assert written["notes"] == {"why": "a test"}
    assert [row["epoch"] for row in written["epochs"]] == [0, 1, 2]
    for name, values in history.items():
        assert [row["metrics"][name] for row in written["epochs"]] == pytest.approx(values)
    assert all(row["seconds"] > 0 for row in written["epochs"])
    assert [file.name for file in path.parent.iterdir()] == ["run.json"]


@pytest.mark.once
def test_same_configuration_same_hash(tmp_path):
    hashes = []
    for units in (4, 4, 5):
        record = RunRecord(tmp_path / "run.json")
        network(units).fit(*data(), verbose=0, callbacks=[record])
        hashes.append(record.record["model"]["config_sha256"])
    assert hashes[0] == hashes[1] != hashes[2]


@pytest.mark.once
def test_data_of_a_reader(tmp_path):
    log = tmp_path / "log"
    kr.data.write_homefeed(log, num_rows=300, num_users=20, num_pins=60, valid=0.0, test=0.0)
    features, tasks = kr.data.homefeed_declarations()
    tasks = [*tasks, kr.Task("again", when="save == 1")]
    model = kr.RankingModel(kr.features.fit(features, log), [kr.layers.MLP([4])], tasks)
    model.compile("adam")
    reader = kr.data.read_parquet(log, model, batch_size=64)
    record = RunRecord(tmp_path / "run.json", data=reader)
    model.fit(reader, epochs=1, verbose=0, callbacks=[record])
    written = read(tmp_path / "run.json")
    files = [tmp_path / file for file in reader.files]
    assert written["data"]["num_rows"] == reader.num_rows
    assert written["data"]["files"] == [
        {
            "name": file.name,
            "bytes": file.stat().st_size,
            "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        }
        for file in files
    ]
    assert written["epochs"][0]["samples_per_second"] > 0
    assert written["model"]["rules"] == {"again": "save == 1"}


@pytest.mark.once
def test_a_killed_run_leaves_the_last_whole_record(tmp_path):
    class Kill(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt

    path = tmp_path / "run.json"
    with pytest.raises(KeyboardInterrupt):
        network().fit(*data(), epochs=4, verbose=0, callbacks=[RunRecord(path), Kill()])
    written = read(path)
    assert written["finished"] is False
    assert len(written["epochs"]) == 2


def test_numbers_that_are_not_finite(tmp_path):
    class Spoil(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["auc"] = np.float32("nan")

    path = tmp_path / "run.json"
    network().fit(*data(), verbose=0, callbacks=[Spoil(), RunRecord(path)])
    assert read(path)["epochs"][0]["metrics"]["auc"] == "nan"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seed": -1}, r"`seed` must be an integer of at least 0 or None. Received: seed=-1"),
        ({"costs": [1]}, r"`costs` must be a JSON-serializable mapping"),
        ({"notes": {"a": object()}}, r"`notes` must be a JSON-serializable mapping"),
        ({"notes": {"a": float("nan")}}, r"`notes` must be a JSON-serializable mapping"),
    ],
)
def test_rejects(arguments, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        RunRecord(tmp_path / "run.json", **arguments)


@pytest.mark.parametrize("value", [3, "nowhere.parquet"])
def test_rejects_data_that_cannot_be_told(value, tmp_path):
    record = RunRecord(tmp_path / "run.json", data=value)
    with pytest.raises(
        ValueError, match=r"`data` must be a reader with `files` or a list of paths"
    ):
        network().fit(*data(), verbose=0, callbacks=[record])
